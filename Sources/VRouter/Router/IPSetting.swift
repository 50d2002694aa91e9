internal import Syscall
internal import SystemPackage

/// How IP treats interfaces: numbers under /proc/sys/net/ipv4/conf and ipv6/conf. They are those of the network
/// namespace of the thread that opens the file, so every use is inside `NetworkLocation.run`.
enum IPSetting {
    /// How IPv4 or IPv6 treats one interface, or `all` and `default`.
    static func path(isIPv4: Bool, _ interface: String, _ name: String) -> String {
        "net/\(isIPv4 ? "ipv4" : "ipv6")/conf/\(interface)/\(name)"
    }

    /// The number; nil where there is no such file: the interface, the option or the whole family is not there.
    static func read(_ path: String) throws(IPSettingError) -> Int? {
        do throws(Errno) {
            guard let number = Int(try Sysctl.read(path)) else { throw .invalidArgument }
            return number
        } catch {
            // ENODEV comes for an interface that goes away under the hand.
            if error == .noSuchFileOrDirectory || error == .operationNotSupportedByDevice { return nil }
            throw IPSettingError(path: path, verb: "read", errno: error)
        }
    }

    /// The names of interfaces that the family has settings for, `all` and `default` among them.
    static func interfaces(isIPv4: Bool) throws(IPSettingError) -> [String] {
        let path = "net/\(isIPv4 ? "ipv4" : "ipv6")/conf"
        do throws(Errno) {
            return try File.names(in: FilePath("/proc/sys/" + path))
        } catch {
            throw IPSettingError(path: path, verb: "listed", errno: error)
        }
    }

    static func write(_ path: String, _ number: Int) throws(IPSettingError) {
        do throws(Errno) {
            try Sysctl.write(path, "\(number)")
        } catch {
            throw IPSettingError(path: path, verb: "set to \(number)", errno: error)
        }
    }
}

/// A number under /proc/sys that could not be read or set.
struct IPSettingError: Error, Hashable, CustomStringConvertible {
    let path: String
    let verb: String
    let errno: Errno

    var description: String {
        let advice: String
        switch errno {
        case .readOnlyFileSystem, .permissionDenied, .notPermitted:
            advice = "; run as root, where /proc/sys can be written"
        default: advice = ""
        }
        return "/proc/sys/\(path) cannot be \(verb): \(errno)\(advice)"
    }
}
