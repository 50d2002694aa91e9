internal import Netlink
internal import Syscall
internal import SystemPackage

/// Numbers under /proc/sys/net. They are those of the network namespace of the thread that opens the file, so every use
/// is inside `NetworkLocation.run`.
enum Sysctl {
    /// How IPv4 or IPv6 treats one interface, or `all` and `default`.
    static func path(isIPv4: Bool, _ interface: String, _ name: String) -> FilePath {
        FilePath("/proc/sys/net/\(isIPv4 ? "ipv4" : "ipv6")/conf/\(interface)/\(name)")
    }

    /// The number; nil where there is no such file: the interface, the option or the whole family is not there.
    static func read(_ path: FilePath) throws(SysctlError) -> Int? {
        do throws(Errno) {
            let file = try File.open(path, .read)
            let bytes = try File.read(file, count: 32, at: 0)
            let text = String(decoding: bytes.prefix { $0 != 0x0a }, as: UTF8.self)
            guard let number = Int(text) else { throw .invalidArgument }
            return number
        } catch {
            // ENODEV comes for an interface that goes away under the hand.
            if error == .noSuchFileOrDirectory || error == .operationNotSupportedByDevice { return nil }
            throw SysctlError(path: path, verb: "read", errno: error)
        }
    }

    /// The names of interfaces that the family has settings for, `all` and `default` among them.
    static func interfaces(isIPv4: Bool) throws(SysctlError) -> [String] {
        let path = FilePath("/proc/sys/net/\(isIPv4 ? "ipv4" : "ipv6")/conf")
        do throws(Errno) {
            return try File.names(in: path)
        } catch {
            throw SysctlError(path: path, verb: "listed", errno: error)
        }
    }

    static func write(_ path: FilePath, _ number: Int) throws(SysctlError) {
        do throws(Errno) {
            let file = try File.open(path, .readWrite)
            try File.write(file, Array("\(number)\n".utf8), at: 0)
        } catch {
            throw SysctlError(path: path, verb: "set to \(number)", errno: error)
        }
    }
}

/// A number under /proc/sys that could not be read or set.
struct SysctlError: Error, Hashable, CustomStringConvertible {
    let path: FilePath
    let verb: String
    let errno: Errno

    var description: String {
        let advice: String
        switch errno {
        case .readOnlyFileSystem, .permissionDenied, .notPermitted:
            advice = "; run as root, where /proc/sys can be written"
        default: advice = ""
        }
        return "\(path) cannot be \(verb): \(errno)\(advice)"
    }
}
