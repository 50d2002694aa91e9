internal import Glibc
public import SystemPackage

extension File {
    /// Reads from where the file stands to its end, or `limit` bytes of it.
    ///
    /// A regular file's end is where it is; a pipe's or a terminal's comes when its last writer goes, and this waits
    /// for it: also for the first writer of a FIFO that has none yet.
    public static func readToEnd(_ file: borrowing Descriptor, limit: Int) throws(Errno) -> [UInt8] {
        let raw = file.raw
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: min(limit, 1 << 16))
        while bytes.count < limit {
            // A FIFO without a writer would read as ended at once; it is not ready until one has come.
            _ = try Readiness.wait([raw])
            do throws(Errno) {
                let count = try linuxCall { Glibc.read(raw, &chunk, chunk.count) }
                if count == 0 { break }
                bytes += chunk.prefix(min(count, limit - bytes.count))
            } catch .resourceTemporarilyUnavailable {
                // Another reader of the same pipe was faster.
                continue
            }
        }
        return bytes
    }
}
