import Capabilities
import Manifest
import Netlink
import Reconcile
import Rules
import VSwitch

/// A manifest of switches and VMs with NICs as the node would read it.
enum Manifests {
    /// The section `vms`, with NICs alone.
    private static let machines = Section("vms") { entry, desired, diagnostics in
        var fields = Fields(entry.entry.value, of: "vm '\(entry.name)'", diagnostics)
        _ = NICKind.readNICs(of: entry.name, &fields, into: &desired)
        fields.finish()
    }

    /// What it asks for, or its mistakes with line and column.
    ///
    /// - Parameter capabilities: what kernel there is.
    static func load(
        _ text: String, subnets: [String: [IPPrefix]] = [:],
        capabilities: @escaping @Sendable () -> Capabilities = { Capabilities(raw: [:]) }
    ) -> (desired: Desired?, mistakes: [String]) {
        let links = LinkListing()
        let loader = DesiredLoader(
            sections: [SwitchKind.section, AddressSetKind.section, GroupKind.section, machines, MirrorKind.section],
            derivations: [
                VLANs.derivation(capabilities: capabilities), OverlayKind.resolution { _ in subnets },
                NICKind.resolution { _ in subnets }, GuardKind.derivation, ShareKind.derivation,
                MirrorKind.derivation, MarkingKind.derivation,
            ],
            kinds: [
                SwitchKind(links: links), UplinkKind(links: links), OverlayKind(links: links),
                VLANPortKind(links: links), GroupKind(NFLedger(tenure: .passing)), AddressSetKind(),
                GuardKind(links: links), NICKind(links: links), RateKind(links: links), ShareKind(links: links),
                MirrorKind(links: links),
                MarkingKind(links: links, NFLedger(tenure: .passing)),
            ])
        let diagnostics = Diagnostics()
        let desired = loader.load([Source(file: "node.yaml", directory: "/", text: text)], diagnostics)
        return (desired, diagnostics.all.map { "\($0.position.line):\($0.position.column) \($0.message)" })
    }
}
