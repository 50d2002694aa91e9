import Manifest
import Reconcile
import VSwitch

/// VMs. The agent starts none: what a VM has on the node are its NICs and volumes, which are resources of their own.
/// So there is nothing to look at and nothing to do; a VM is there to hold them together.
struct VMKind: ResourceKind {
    static let name = "vm"

    func observe(_ desired: Desired) async throws -> [String: Never] { [:] }

    func diff(name: String, spec: VMSpec?, observation: Never?) -> Change { .none }

    func perform(_ steps: [Step<VMSpec, Never>], desired: Desired) async -> [StepOutcome] { steps.map { _ in .done } }
}

extension VMKind {
    /// The section `vms` of the manifest: its NICs become resources here, its disks are references to volumes.
    static let section = Section("vms") { entry, desired, diagnostics in
        guard ResourceName.check(entry.entry, of: name, diagnostics) else { return }
        var fields = Fields(entry.entry.value, of: "vm '\(entry.name)'", diagnostics)
        var references: [Reference] = []
        for nic in NICKind.readNICs(of: entry.name, &fields, into: &desired) { references.append(Reference(nic)) }
        let disks = fields.list("disks") { item, diagnostics -> String? in
            let volume = item.string(as: "'disks' of vm '\(entry.name)'", diagnostics)
            if let volume { references.append(Reference(ResourceID("volume", volume), at: item.position)) }
            return volume
        }
        fields.finish()
        let spec = VMSpec(disks: disks)
        desired.add(VMKind.self, entry.name, spec, references: references, at: entry.entry.keyPosition)
    }

    /// Reports a volume that two VMs, or one VM twice, would write to: neither knows of the other's writes.
    static let derivation = Derivation(of: [name]) { desired, diagnostics in
        var owners: [String: String] = [:]
        for name in desired.specs(of: VMKind.self).keys.sorted() {
            for reference in desired.references(of: id(name)) where reference.target.kind == "volume" {
                let volume = reference.target.name
                guard let position = reference.position else { continue }
                guard let first = owners.updateValue(name, forKey: volume) else { continue }
                let words =
                    first == name
                    ? "'\(volume)' is a disk of vm '\(name)' twice" : "'\(volume)' is a disk of vm '\(first)' already"
                diagnostics.report(
                    at: position, width: volume.count, words,
                    hint: "give each vm a volume of its own, cloned from one image")
            }
        }
    }
}
