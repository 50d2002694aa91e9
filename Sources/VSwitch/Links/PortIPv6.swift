internal import Netlink
internal import Syscall
internal import SystemPackage

/// IPv6 of a port: a bridge's port that speaks for itself pollutes the switch with its own neighbour discovery.
enum PortIPv6 {
    /// Whether this kernel has IPv6 at all.
    static let isPresent: Bool = {
        do throws(Errno) {
            _ = try Sysctl.read("net/ipv6/conf/all/disable_ipv6")
            return true
        } catch {
            return false
        }
    }()

    /// Switches it off, in the network namespace of the calling thread.
    static func switchOff(_ name: InterfaceName) throws(Errno) { try set(name, isDisabled: true) }

    /// Switches it off or on, in the network namespace of the calling thread.
    static func set(_ name: InterfaceName, isDisabled: Bool) throws(Errno) {
        guard isPresent else { return }
        try Sysctl.write("net/ipv6/conf/\(name)/disable_ipv6", isDisabled ? "1" : "0")
    }
}
