internal import Manifest
internal import Netlink
public import Reconcile

extension SwitchKind {
    /// The section `switches` of the manifest: a bridge for each, an uplink for each port that it borrows, and the
    /// overlay that joins it with other nodes.
    public static let section = Section("switches") { entry, desired, diagnostics in
        guard ResourceName.check(entry.entry, of: name, diagnostics) else { return }
        var fields = Fields(entry.entry.value, of: "switch '\(entry.name)'", diagnostics)
        let mtu = fields.int("mtu", in: 68...65_535).map { UInt32($0) }
        let place = fields.node("overlay")
        let overlay = place.flatMap { OverlayReader.read($0, of: entry.name, mtu: mtu, diagnostics) }
        var positions: [Position] = []
        let uplinks = fields.list("uplinks") { item, diagnostics in
            let uplink = UplinkSpec(reading: item, of: entry.name, diagnostics)
            if uplink != nil { positions.append(item.position) }
            return uplink
        }
        let settings = SwitchSettings(reading: &fields)
        fields.finish()

        var spec = SwitchSpec(
            name: entry.name, mtu: mtu ?? overlay?.mtu ?? 1500, uplinks: uplinks.map(\.interface), local: overlay?.local
        )
        spec.settings = settings
        desired.add(SwitchKind.self, entry.name, spec, at: entry.entry.keyPosition)
        if let place, let overlay {
            let target = Reference(SwitchKind.id(entry.name), at: place.position)
            desired.add(OverlayKind.self, entry.name, overlay, references: [target], at: place.position)
        }
        for (spec, position) in zip(uplinks, positions) {
            if let first = desired.specs(of: UplinkKind.self)[spec.resourceName] {
                diagnostics.report(
                    at: position, width: spec.interface.description.count,
                    "\(spec.interface) is borrowed twice", hint: "by switch '\(first.switchName)' already; name it once"
                )
            }
            let target = Reference(SwitchKind.id(entry.name), at: position)
            desired.add(UplinkKind.self, spec.resourceName, spec, references: [target], at: position)
        }
    }
}
