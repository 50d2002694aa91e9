internal import Glibc
public import SystemPackage

/// Kernel settings under /proc/sys; those under net/ are the calling thread's network namespace's.
public enum Sysctl {
    /// Writes a setting: `net/ipv6/conf/eth0/disable_ipv6`.
    ///
    /// - Throws: ENOENT if the kernel has no such setting.
    public static func write(_ path: String, _ value: String) throws(Errno) {
        let file = Descriptor(adopting: try linuxCall { open("/proc/sys/" + path, O_WRONLY | O_CLOEXEC) })
        let bytes = Array(value.utf8)
        try linuxCall { Glibc.write(file.raw, bytes, bytes.count) }
    }

    /// Reads a setting without the line end behind it.
    ///
    /// - Throws: ENOENT if the kernel has no such setting.
    public static func read(_ path: String) throws(Errno) -> String {
        let file = Descriptor(adopting: try linuxCall { open("/proc/sys/" + path, O_RDONLY | O_CLOEXEC) })
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = try linuxCall { Glibc.read(file.raw, &bytes, 4096) }
        let text = String(decoding: bytes.prefix(count), as: UTF8.self)
        return text.last?.isNewline == true ? String(text.dropLast()) : text
    }
}
