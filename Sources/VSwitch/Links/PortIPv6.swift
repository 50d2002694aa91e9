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

    /// The lowest MTU with which a link has IPv6 (RFC 8200 section 5). Below it the kernel takes its IPv6 settings
    /// away; it gives it new ones, with IPv6 on, when the MTU rises again.
    static let minimumMTU: UInt32 = 1280

    /// What a new link of ours is told of IPv6 address generation: nothing where it has no IPv6.
    static func generation(mtu: UInt32?) -> AddressGeneration? {
        isPresent && mtu ?? 1500 >= minimumMTU ? AddressGeneration.none : nil
    }

    /// Whether a link that has no IPv6 for its small MTU gets it with the new one.
    static func returns(to link: Link, mtu: UInt32?) -> Bool {
        isPresent && link.mtu < minimumMTU && mtu ?? link.mtu >= minimumMTU
    }

    /// Switches it off, in the network namespace of the calling thread.
    static func switchOff(_ name: InterfaceName) throws(Errno) { try set(name, isDisabled: true) }

    /// Why it could not be switched off.
    static func words(_ error: Errno, _ name: InterfaceName) -> String {
        let advice = error == .readOnlyFileSystem ? "; /proc/sys must be writable here" : ""
        return "switch IPv6 off on \(name): \(error)\(advice)"
    }

    /// Switches it off or on, in the network namespace of the calling thread.
    static func set(_ name: InterfaceName, isDisabled: Bool) throws(Errno) {
        guard isPresent else { return }
        try Sysctl.write("net/ipv6/conf/\(name)/disable_ipv6", isDisabled ? "1" : "0")
    }
}

extension NetworkLocation {
    /// Switches IPv6 of a link off or on, in this namespace.
    func setIPv6(of name: InterfaceName, isDisabled: Bool) throws(NetlinkError) {
        do throws(Errno) {
            let failure = try run { () -> Errno? in
                do throws(Errno) { try PortIPv6.set(name, isDisabled: isDisabled) } catch { return error }
                return nil
            }
            if let failure { throw failure }
        } catch {
            throw NetlinkError(operation: "set disable_ipv6 of", subject: "\(name)", cause: .system(error))
        }
    }
}
