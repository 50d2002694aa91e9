public import Netlink

/// Who refused a packet of a NIC, and in which direction it went.
public enum DenialReason: String, CaseIterable, Sendable {
    /// The NIC sent it in another's name, or acted as a router or a DHCP server.
    case `guard`
    /// No group lets the NIC send it.
    case egress
    /// No group lets it in.
    case ingress
}

/// How many packets of each NIC the bridge's table has refused.
///
/// Counted since the NIC's rules are in the kernel; a change of other NICs leaves the counts as they are.
public struct Denials: Sendable {
    private let counts: [DenialReason: [NFKey: NFCount]]

    /// Reads them: one dump of elements for each reason. Where there is no table, or one that does not count (an older
    /// sdagent made it), nothing was counted.
    public init(in location: NetworkLocation) throws(NFError) {
        var counts: [DenialReason: [NFKey: NFCount]] = [:]
        do throws(NetlinkError) {
            var socket = try location.socket(.netfilter)
            for reason in DenialReason.allCases { counts[reason] = try socket.denials(reason) }
        } catch {
            throw .netlink(error)
        }
        self.counts = counts
    }

    /// What was refused of the NIC behind an interface; zero where it is not known.
    public func count(_ reason: DenialReason, of interface: InterfaceName) -> NFCount {
        counts[reason]?[NFKey(.interface(interface))] ?? NFCount(packets: 0, bytes: 0)
    }
}

extension NetlinkSocket {
    fileprivate mutating func denials(_ reason: DenialReason) throws(NetlinkError) -> [NFKey: NFCount] {
        do throws(NFError) {
            return try nftablesElementCounts(GuardTable.family, GuardTable.name, DenialChains.set(reason))
        } catch {
            guard case .netlink(let cause) = error else { return [:] }
            if cause.isMissing { return [:] }
            throw cause
        }
    }
}
