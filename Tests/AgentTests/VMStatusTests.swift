import Manifest
import Reconcile
import Testing

@testable import sdagent

@Suite("How VMs stand")
struct VMStatusTests {
    private static let text = """
        switches: { blue: {} }
        pools: { fast: {} }
        volumes: { root: { pool: fast, size: 1GiB } }
        vms: { vm1: { nics: [ { switch: blue }, { switch: blue } ], disks: [ root ] }, vm2: {} }
        """

    /// The VMs' lines, where the resources given are in these states and the rest of theirs are converged.
    private func lines(_ states: [String: ResourceState], without lost: String? = nil) throws -> [String] {
        let desired = try Shipped.load([Source(file: "a.yaml", directory: "/", text: Self.text)]).desired
        let all: [String] = ["nic/vm1/net0", "nic/vm1/net1", "volume/root", "vm/vm1", "vm/vm2"]
        let ids = all.filter { lost == nil || $0 != lost }
        let statuses: [ResourceStatus] = ids.map { text in
            let words = text.split(separator: "/", maxSplits: 1).map(String.init)
            return ResourceStatus(id: ResourceID(words[0], words[1]), state: states[text] ?? .converged)
        }
        let shown = VMKind.standing(statuses, in: desired)
        let (others, before) = (shown.filter { $0.id.kind != "vm" }, statuses.filter { $0.id.kind != "vm" })
        #expect(others == before)
        return shown.filter { $0.id.kind == "vm" }.map { "\($0.id) \($0.state) \($0.detail)" }
    }

    @Test("A VM stands as the worst of its NICs and volumes, and says which")
    func worst() throws {
        #expect(try lines([:]) == ["vm/vm1 converged ", "vm/vm2 converged "])
        #expect(try lines(["nic/vm1/net1": .conflict])[0] == "vm/vm1 conflict nic/vm1/net1 is in conflict")
        #expect(try lines(["volume/root": .failed])[0] == "vm/vm1 failed volume/root has failed")
        #expect(
            try lines(["nic/vm1/net0": .pending, "nic/vm1/net1": .skipped, "volume/root": .waiting])[0]
                == "vm/vm1 skipped nic/vm1/net1 is skipped")
        #expect(try lines(["nic/vm1/net0": .failed])[1] == "vm/vm2 converged ")
    }

    @Test("A VM whose NICs could not be looked at is not called converged")
    func unknown() throws {
        #expect(try lines([:], without: "nic/vm1/net0")[0] == "vm/vm1 failed nic/vm1/net0 could not be looked at")
    }
}
