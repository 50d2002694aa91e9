import BlockStore
import Capabilities
import Reconcile
import VRouter
import VSwitch

/// What the manifest asks for and this kernel lacks.
enum ManifestFindings {
    /// Something that resources of the manifest stand on.
    struct Need: Hashable, Sendable {
        let capability: Capability
        let resources: [ResourceID]
    }

    /// A new kind that stands on something adds its line here.
    static func needs(_ desired: Desired) -> [Need] {
        let nics = desired.specs(of: NICKind.self)
        let taps = nics.filter { if case .tap = $0.value.attachment { true } else { false } }.map(\.key)
        let pairs = nics.filter { if case .namespace = $0.value.attachment { true } else { false } }.map(\.key)
        let rates = desired.specs(of: RateKind.self)
        let sending = rates.filter { $0.value.egress != nil }.keys.map { RateKind.id($0) }
        let mirrors = desired.specs(of: MirrorKind.self).keys.map { MirrorKind.id($0) }
        let routers = desired.specs(of: RouterKind.self)
        let overlays = desired.specs(of: OverlayKind.self)
        let divided = desired.specs(of: SwitchKind.self).filter { $0.value.vlans != nil }
        let leaving =
            desired.specs(of: VLANPortKind.self).keys.map { VLANPortKind.id($0) }
            + desired.specs(of: SwitchKind.self).filter { $0.value.part?.refusal != nil }.keys.map { SwitchKind.id($0) }
        let needs: [(Capability, [ResourceID])] = [
            (.bridge, desired.specs(of: SwitchKind.self).keys.map { SwitchKind.id($0) }),
            (.vlanFiltering, divided.keys.map { SwitchKind.id($0) }),
            (.vlanDevice, leaving),
            (.vxlan, overlays.keys.map { OverlayKind.id($0) }),
            (.neighbourSuppression, overlays.filter(\.value.isSuppressing).keys.map { OverlayKind.id($0) }),
            (.tap, taps.map { NICKind.id($0) }),
            (.veth, pairs.map { NICKind.id($0) }),
            (.tbf, rates.keys.map { RateKind.id($0) }),
            (.htb, desired.specs(of: ShareKind.self).keys.map { ShareKind.id($0) }),
            (.ifb, sending),
            (.clsact, sending + mirrors),
            (.u32, sending + mirrors),
            (.mirred, sending + mirrors),
            (.nftablesBridge, nics.keys.map { NICKind.id($0) }),
            (.policyRouting, routers.filter { !$0.value.routes.isEmpty }.keys.map { RouterKind.id($0) }),
            (.nftablesInet, translating(routers)),
            (.nat, translating(routers)),
            (.conntrack, translating(routers)),
            (.ioUring, desired.specs(of: TargetKind.self).keys.map { TargetKind.id($0) }),
        ]
        return needs.filter { !$0.1.isEmpty }.map { Need(capability: $0, resources: $1.sorted()) }
    }

    private static func translating(_ routers: [String: RouterSpec]) -> [ResourceID] {
        routers.filter { !$0.value.snat.isEmpty || !$0.value.forwards.isEmpty }.keys.map { RouterKind.id($0) }
    }

    static func all(_ desired: Desired, _ capabilities: Capabilities) -> [Finding] {
        needs(desired).map { finding($0, capabilities) }
    }

    static func finding(_ need: Need, _ capabilities: Capabilities) -> Finding {
        let facts = need.capability.facts
        let who = naming(need.resources)
        let lack = KernelFindings.lack(of: need.capability, capabilities)
        switch capabilities[need.capability] {
        case .native: return Finding(.manifest, .fine, "\(facts.purpose), for \(who)")
        case .fallback(let name):
            return Finding(.manifest, .fallback, "\(facts.purpose), for \(who)", "falls back to \(name) (\(lack))")
        case .missing:
            return Finding(
                .manifest, .mend, "\(facts.purpose), for \(who)",
                "this kernel cannot (\(lack)); boot \(capabilities.remedy(for: need.capability)), or take it out")
        case .unloaded(let module):
            return Finding(
                .manifest, .mend, "\(facts.purpose), for \(who)", "the kernel's module for it is not loaded",
                remedy: "modprobe \(module) && echo \(module) > /etc/modules-load.d/sdagent-\(module).conf")
        case .unknown(let reason):
            return Finding(.manifest, .unknown, "\(facts.purpose), for \(who)", "cannot be told: \(reason)")
        }
    }

    private static func naming(_ resources: [ResourceID]) -> String {
        let first = resources.prefix(3).map(\.description).joined(separator: ", ")
        return resources.count > 3 ? "\(first) and \(resources.count - 3) more" : first
    }
}
