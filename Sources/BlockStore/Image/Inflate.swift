import CLinux

/// Decompression of one qcow2 cluster.
enum Inflate {
    /// The cluster that a deflate stream (RFC 1951) holds: exactly `count` bytes, whatever more the stream would give.
    /// - Returns: nil if it holds fewer, or is no such stream.
    static func cluster(_ packed: [UInt8], count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        let written = packed.withUnsafeBytes { from in
            bytes.withUnsafeMutableBytes { to in
                sda_inflate(from.baseAddress, from.count, to.baseAddress, to.count)
            }
        }
        return written == count ? bytes : nil
    }
}
