import Manifest
import Netlink
import Reconcile
import Rules
import TestSupport
import Testing
import VSwitch

/// The guard while names of ports change hands: never without rules what is still there, never ours what is another's.
@Suite(.enabled(if: TestNamespace.isPossible))
struct GuardHandoverTests {
    /// Switch, guard and NICs of one namespace.
    private struct Stage {
        let space: TestNamespace
        let node: Reconciler

        init(_ space: TestNamespace) {
            self.space = space
            let links = LinkListing(in: .namespace(space.name))
            node = Reconciler(kinds: [SwitchKind(links: links), GuardKind(links: links), NICKind(links: links)])
        }

        func desired(_ nics: [NICSpec]) -> Desired {
            var desired = Desired()
            desired.add(SwitchSpec(name: "blue"))
            for nic in nics { desired.add(nic) }
            GuardKind.derivation.run(&desired, Diagnostics())
            return desired
        }

        func plan(_ nics: NICSpec...) async -> Plan { await node.plan(desired(nics)) }

        /// Applies, and returns what is not as asked.
        func apply(_ nics: NICSpec...) async -> [String] {
            let report = await node.apply(desired(nics))
            return report.statuses.filter { $0.state != .converged }.map { "\($0.id) \($0.state)" }
        }

        /// Checks what a set of the guard holds, as `nft` shows it, sorted; without quotes.
        func expect(_ set: String, _ elements: String, at location: SourceLocation = #_sourceLocation) async throws {
            let found = try await self.elements(set)
            #expect(found == elements, sourceLocation: location)
        }

        private func elements(_ set: String) async throws -> String {
            let text = try await space.run("nft", "list", "set", "bridge", "sdagent", set)
            guard let match = text.firstMatch(of: #/elements = \{([^}]*)\}/#) else { return "" }
            let words = match.1.replacing("\"", with: "").split(separator: ",")
            return words.map { $0.split(whereSeparator: \.isWhitespace).joined(separator: " ") }.sorted()
                .joined(separator: ", ")
        }
    }

    private func onStage(_ body: (Stage) async throws -> Void) async throws {
        try await TestNamespace.with { try await body(Stage($0)) }
    }

    private func nic(_ machine: String, _ interface: String, owner: NICSpec.Owner? = nil) -> NICSpec {
        NICSpec(
            machine: machine, name: "net0", switchName: "blue", interface: InterfaceName(interface),
            mac: MACAddress("02:00:00:00:00:0\(machine.last ?? "0")"), mtu: 1500, attachment: .tap(owner: owner))
    }

    @Test func `names that are swapped or changed are guarded anew in one apply`() async throws {
        try await onStage { stage in
            #expect(await stage.apply(nic("vm1", "tap1"), nic("vm2", "tap2")) == [])
            #expect(await stage.apply(nic("vm1", "tap2"), nic("vm2", "tap1")) == [])
            try await stage.expect("bindm", "tap1 . 02:00:00:00:00:02, tap2 . 02:00:00:00:00:01")
            #expect(await stage.apply(nic("vm1", "tap3"), nic("vm2", "tap1")) == [])
            try await stage.expect("ports", "tap1, tap3")
            #expect(await stage.plan(nic("vm1", "tap3"), nic("vm2", "tap1")).exitCode == 0)
        }
    }

    @Test func `a tap that cannot be replaced keeps its rules, and gives its name to nobody`() async throws {
        try await onStage { stage in
            #expect(await stage.apply(nic("vm1", "tap1"), nic("vm2", "tap2")) == [])
            let bad = nic("vm1", "tap9", owner: .name("sdt-no-such-user"))
            #expect(await stage.apply(bad, nic("vm2", "tap2")) == ["nic/vm1/net0 unsupported"])
            try await stage.expect(
                "bindm", "tap1 . 02:00:00:00:00:01, tap2 . 02:00:00:00:00:02, tap9 . 02:00:00:00:00:01")
            try await stage.expect("ports", "tap1, tap2, tap9")
            #expect(await stage.plan(bad, nic("vm2", "tap2")).pending == [])

            // Another NIC is to have its name: until it has, nothing passes there.
            let left = await stage.apply(bad, nic("vm2", "tap1"))
            #expect(left == ["nic/vm1/net0 unsupported", "nic/vm2/net0 conflict"])
            try await stage.expect("ports", "tap1, tap2, tap9")
            try await stage.expect("bindm", "tap2 . 02:00:00:00:00:02, tap9 . 02:00:00:00:00:01")

            #expect(await stage.apply(nic("vm1", "tap9"), nic("vm2", "tap1")) == [])
            try await stage.expect("ports", "tap1, tap9")
            #expect(await stage.apply() == [])
            #expect(try await stage.space.run("nft", "list", "ruleset") == "")
        }
    }

    @Test func `a foreign port of a NIC's name does not feel the guard`() async throws {
        try await TestNamespace.with { guest in
            try await onStage { stage in
                for words in [
                    "ip link add br9 type bridge", "ip link set br9 up", "ip addr add 192.0.2.1/24 dev br9",
                    "ip link add vm1-net0 type veth peer name eth0 netns \(guest.name)",
                    "ip link set vm1-net0 master br9 up",
                ] { try await output(of: stage.space.inside(words.split(separator: " ").map(String.init))) }
                try await guest.run("ip", "link", "set", "eth0", "up")
                try await guest.run("ip", "addr", "add", "192.0.2.2/24", "dev", "eth0")
                #expect(await stage.apply(nic("vm1", "vm1-net0"), nic("vm2", "tap2")) == ["nic/vm1/net0 conflict"])
                try await stage.expect("ports", "tap2")
                try await guest.run("ping", "-c", "1", "-W", "5", "192.0.2.1")
                try await stage.space.run("ip", "link", "delete", "vm1-net0")
                #expect(await stage.apply(nic("vm1", "vm1-net0"), nic("vm2", "tap2")) == [])
                try await stage.expect("ports", "tap2, vm1-net0")
            }
        }
    }
}
