import Manifest
import Reconcile
import Rules
import VRouter

/// Stands for the switches, which another part makes: a bridge of that name is there already.
struct SwitchStand: ResourceKind {
    static let name = "switch"

    func observe(_ desired: Desired) async throws -> [String: Bool] {
        desired.specs(of: Self.self).mapValues { _ in true }
    }

    func diff(name: String, spec: Bool?, observation: Bool?) -> Change { .none }

    func perform(_ steps: [Step<Bool, Bool>], desired: Desired) async -> [StepOutcome] { steps.map { _ in .done } }

    static let section = Section("switches") { entry, desired, _ in
        desired.add(SwitchStand.self, entry.name, true, at: entry.entry.keyPosition)
    }
}

/// A manifest of switches and routers as the node would read it.
enum Manifests {
    static func loader(_ routers: RouterKind, _ nat: NATKind, claims: [AddressClaim] = []) -> DesiredLoader {
        DesiredLoader(
            sections: [SwitchStand.section, RouterSection.section],
            derivations: [RouterChecks.derivation { _ in claims }, NATKind.derivation],
            kinds: [SwitchStand(), nat, routers])
    }

    /// The desired set, or the mistakes as they are printed.
    static func load(_ text: String, claims: [AddressClaim] = []) -> (desired: Desired?, mistakes: String) {
        let diagnostics = Diagnostics()
        let source = Source(file: "node.yaml", directory: "/", text: text)
        let desired = loader(RouterKind(), NATKind(), claims: claims).load([source], diagnostics)
        return (desired, diagnostics.isEmpty ? "" : diagnostics.render())
    }
}
