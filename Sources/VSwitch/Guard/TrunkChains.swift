internal import Netlink
internal import Rules

/// The chains of the guard for frames with tags: those of trunk ports, and those that come out of an uplink where a
/// bridge is for one VLAN only.
///
///     trunks   interface -> goto trunk-…   ports whose frames may have tags, with the chain of their VLANs
///     divided  interface                   uplinks whose tagged frames go to VLAN devices, or nowhere
///
/// NICs in the same VLANs share a chain. A tag of 802.1ad, and one behind another, is none of 802.1Q: a NIC's passes
/// nowhere.
enum TrunkChains {
    private static let trunks = "trunks"
    private static let divided = "divided"
    private static let tagged = "tagged"

    /// What there is of it where any NIC is a trunk.
    struct Parts {
        var sets: [NFSet] = []
        var chains: [NFChain] = []
        /// For the entry, before it looks whose port it is.
        var early: [NFRule] = []
        /// For the entry, behind the check of the MAC.
        var late: [NFRule] = []
    }

    static func compile(_ nics: some Collection<NICSpec>, divided uplinks: Set<InterfaceName>) -> Parts {
        var parts = Parts()
        var map = NFSet(trunks, key: [.interfaceName], target: .verdict)
        var all: Set<VLANSet> = []
        for nic in nics where nic.refusal == nil {
            guard let vlans = nic.port.vlans?.tagged, !vlans.isEmpty else { continue }
            map.elements[NFKey(.interface(nic.interface))] = .verdict(.goto(chain(of: vlans)))
            all.insert(vlans)
        }
        if !all.isEmpty {
            parts.sets.append(map)
            parts.chains = all.sorted { $0.description < $1.description }.map(trunk) + [inner]
            parts.late = [
                NFRule(
                    Match.isTagged + [.meta(.inputInterface, into: 0), .verdictMap(0, set: trunks)],
                    comment: "tagged, by a trunk")
            ]
        }
        if !uplinks.isEmpty {
            var set = NFSet(divided, key: [.interfaceName])
            for uplink in uplinks { set.insert(NFKey(.interface(uplink))) }
            parts.sets.append(set)
            parts.early = [
                .drop(
                    "of a VLAN that has no bridge here",
                    Match.isTagged + Match.cameIn(bySet: divided) + [
                        HeaderField.vlanTag.load(into: 0), .mask(0, HeaderField.vlanID),
                        .compare(0, .notEqual, [0, 0]),
                    ])
            ]
        }
        return parts
    }

    private static func chain(of vlans: VLANSet) -> String {
        "trunk-" + String(StableHash(vlans.description).value, radix: 32)
    }

    private static func trunk(_ vlans: VLANSet) -> NFChain {
        NFChain(
            chain(of: vlans),
            rules: vlans.ranges.map { range in
                NFRule(
                    [
                        HeaderField.vlanTag.load(into: 0), .mask(0, HeaderField.vlanID),
                        .compare(0, .greaterOrEqual, bytes(range.first)), .compare(0, .lessOrEqual, bytes(range.last)),
                        .verdict(.goto(tagged)),
                    ], comment: "VLAN \(range)")
            } + [.deny(.ethertype, "a VLAN that is not its own", [])])
    }

    private static func bytes(_ id: UInt16) -> [UInt8] { [UInt8(id >> 8), UInt8(truncatingIfNeeded: id)] }

    /// What is behind the tag: the type that the kernel found when it took the tag off.
    private static let inner = NFChain(
        tagged,
        rules: GuardChains.protocols.map { type, chain in
            NFRule(
                [.meta(.etherType, into: 0), .compare(0, .equal, bytes(type)), .verdict(.goto(chain))])
        } + [.deny(.ethertype, "behind a tag neither ARP, IPv4 nor IPv6, or another tag", [])])
}
