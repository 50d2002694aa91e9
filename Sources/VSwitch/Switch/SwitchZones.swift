internal import Netlink
internal import Reconcile

/// The conntrack zones of switches: one flow of conntrack is one of a zone, so that the same addresses on two switches
/// are two flows.
///
/// A zone follows from the name of its switch, so that it is the same at every apply and its flows stay known. Where
/// two names lead to one zone, the later of them in order takes the next one that is free.
struct SwitchZones: Sendable {
    /// Those below are left to others, who mostly count from 1; 0 is that of who has none.
    static let all: ClosedRange<UInt16> = 4096...65_535

    private var zones: [String: UInt16] = [:]

    /// - Parameter names: of all switches of the manifest.
    init(_ names: some Sequence<String>) {
        var taken: Set<UInt16> = []
        let count = UInt64(Self.all.count)
        for name in names.sorted() {
            var offset = StableHash("zone/\(name)").value % count
            while true {
                let zone = Self.all.lowerBound + UInt16(truncatingIfNeeded: offset)
                // With more switches than zones there are, which no node has, the last ones share.
                if taken.insert(zone).inserted || taken.count == Self.all.count {
                    zones[name] = zone
                    break
                }
                offset = (offset + 1) % count
            }
        }
    }

    /// The zones of all switches of a manifest, and of those VLANs of them in which NICs have groups: of no other is
    /// conntrack asked.
    init(_ desired: Desired) {
        let closed = desired.specs(of: NICKind.self).values.filter { !$0.groups.isEmpty }.map(\.segment)
        self.init(Set(desired.specs(of: SwitchKind.self).keys).union(closed))
    }

    /// The zone of a switch, or of a VLAN of one; 0 for one that is not in the manifest.
    subscript(name: String) -> UInt16 { zones[name] ?? 0 }
}
