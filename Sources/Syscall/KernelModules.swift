internal import Glibc
internal import SystemPackage

/// What the running kernel has as modules, loaded or not: /sys/module and /lib/modules/RELEASE (modprobe(8)).
public enum KernelModules {
    /// Where a part of the kernel is.
    public enum Place: Hashable, Sendable {
        /// In use now, as a module or as part of the kernel.
        case loaded
        /// Part of the kernel's file, per modules.builtin.
        case builtIn
        /// A file that modprobe would load.
        case available
        /// Nowhere that we could see.
        case absent
    }

    /// Where the module of this name is. Names have underscores, as their files do: `br_netfilter`.
    public static func place(of name: String, release: String) -> Place {
        if isThere("/sys/module/" + name) { return .loaded }
        if lists("/lib/modules/\(release)/modules.builtin", name) { return .builtIn }
        return lists("/lib/modules/\(release)/modules.dep", name) ? .available : .absent
    }

    private static func isThere(_ path: String) -> Bool {
        do throws(Errno) { return try File.status(of: FilePath(path)) != nil } catch { return false }
    }

    /// Both lists name files: `kernel/net/bridge/br_netfilter.ko.xz: …`. A node without them has no modules.
    private static func lists(_ path: String, _ name: String) -> Bool {
        do throws(Errno) {
            let file = try File.open(FilePath(path), .read)
            // Debian's is 0.7 MB; 16 MiB is more than any.
            let length = Int(min(try File.status(file).length, 16 << 20))
            let text = try File.read(file, count: length, at: 0) + [0]
            return text.withUnsafeBufferPointer { bytes in
                bytes.withMemoryRebound(to: CChar.self) { text in
                    text.baseAddress.map { strstr($0, "/\(name).ko") != nil } ?? false
                }
            }
        } catch {
            return false
        }
    }
}
