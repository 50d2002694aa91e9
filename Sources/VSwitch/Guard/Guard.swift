internal import Netlink
internal import Reconcile

/// What the guard holds a NIC to. Each has its word, by which a manifest lets one NIC off that guard and no other.
public enum Guard: String, CaseIterable, Hashable, Sendable {
    /// Frames come from its own MAC address.
    case mac
    /// ARP names its own MAC address and addresses only.
    case arp
    /// IPv4 packets come from its own addresses.
    case ipv4
    /// IPv6 packets come from its own addresses.
    case ipv6
    /// Neighbour discovery names its own MAC address, and advertises its own addresses only.
    case nd
    /// It answers nobody as a DHCP server.
    case dhcp
    /// It advertises itself as no router, and redirects nobody.
    case ra
    /// It asks nobody for members of multicast groups, and says nothing else that only multicast routers say: a switch
    /// that listens sends all multicast to whoever does.
    case querier

    /// The set of the ports that are let off.
    var exceptions: String { "unguarded-\(rawValue)" }

    /// The ports that are let off it from now on, and those that are no longer.
    func changes(from seen: NFTable?, to wanted: NFTable?) -> [FieldChange] {
        let old = Set((seen?.sets[exceptions]?.elements ?? [:]).keys)
        let new = Set((wanted?.sets[exceptions]?.elements ?? [:]).keys)
        let present = wanted?.sets["ports"]?.elements ?? [:]
        let off = new.subtracting(old)
        let on = old.subtracting(new).filter { present[$0] != nil }
        return [("off", off), ("on", on)].filter { !$0.1.isEmpty }.map { word, ports in
            FieldChange("\(rawValue) guard", to: "\(word) for \(Self.names(ports))")
        }
    }

    private static func names(_ ports: Set<NFKey>) -> String {
        let names = ports.sorted().map { String(decoding: $0.bytes.prefix { $0 != 0 }, as: UTF8.self) }
        return names.prefix(5).joined(separator: ", ") + (names.count > 5 ? " and \(names.count - 5) more" : "")
    }
}
