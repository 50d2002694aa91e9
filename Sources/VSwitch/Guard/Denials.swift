public import Netlink

/// How many packets of each NIC the tables of the bridge and of what is routed have refused, and for which reason.
///
/// Counts begin with the first packet that is refused for a reason, and are forgotten when a day has passed without.
public struct Denials: Sendable {
    /// By port.
    private let bridged: [DenialReason: [NFKey: NFCount]]
    /// By bridge and address.
    private let routed: [DenialReason: [NFKey: NFCount]]

    /// Reads them: one dump of elements for each set. Where there is no table, or one that does not count (an older
    /// sdagent made it), nothing was counted.
    public init(in location: NetworkLocation) throws(NFError) {
        var socket: NetlinkSocket
        do throws(NetlinkError) { socket = try location.socket(.netfilter) } catch { throw .netlink(error) }
        var bridged: [DenialReason: [NFKey: NFCount]] = [:]
        for reason in DenialReason.allCases {
            bridged[reason] = try socket.counts(GuardTable.family, GuardTable.name, DenialChains.set(reason))
        }
        var routed: [DenialReason: [NFKey: NFCount]] = [:]
        for reason in DenialChains.routedReasons {
            for isIPv4 in [true, false] {
                let set = DenialChains.routedSet(reason, isIPv4: isIPv4)
                let counts = try socket.counts(RoutedTable.family, RoutedTable.name, set)
                routed[reason, default: [:]].merge(counts) { first, _ in first }
            }
        }
        self.bridged = bridged
        self.routed = routed
    }

    /// What was refused of a NIC, bridged and routed; zero where it is not known. What was routed to an address that
    /// several NICs are allowed counts for each of them.
    public func count(_ reason: DenialReason, of nic: NICSpec) -> NFCount {
        var sum = bridged[reason]?[NFKey(.interface(nic.interface))] ?? NFCount(packets: 0, bytes: 0)
        // Nothing is routed to other VLANs, where another may have the address.
        guard nic.segment == nic.switchName, let routed = routed[reason], !routed.isEmpty else { return sum }
        let bridge = NFValue.interface(SwitchSpec.bridge(of: nic.switchName))
        for network in nic.reach where network.isHost {
            if let count = routed[NFKey(bridge, .address(network.address))] { sum += count }
        }
        for network in nic.allow.subnets {
            let range = NFRange(.one(bridge), .network(network))
            for (key, count) in routed where key.isWithin(range) { sum += count }
        }
        return sum
    }
}

extension NFKey {
    /// Whether it lies in a range of one field behind a bridge's name, which are equally wide.
    fileprivate func isWithin(_ range: NFRange) -> Bool {
        bytes.count == range.first.bytes.count && range.first <= self && self <= range.last
    }
}

extension NFCount {
    fileprivate static func += (left: inout NFCount, right: NFCount) {
        left = NFCount(packets: left.packets &+ right.packets, bytes: left.bytes &+ right.bytes)
    }
}

extension NetlinkSocket {
    fileprivate mutating func counts(
        _ family: NFTable.Family, _ table: String, _ set: String
    ) throws(NFError) -> [NFKey: NFCount] {
        do throws(NFError) {
            return try nftablesElementCounts(family, table, set)
        } catch {
            if case .netlink(let cause) = error, cause.isMissing { return [:] }
            throw error
        }
    }
}
