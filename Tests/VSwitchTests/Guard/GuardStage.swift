import Manifest
import Netlink
import Reconcile
import Rules
import TestSupport
import Testing
import VSwitch

/// Two VMs' NICs in namespaces of their own on one switch, behind the guard.
struct GuardStage {
    let node: Reconciler
    let a: TestNamespace
    let b: TestNamespace
    let space: TestNamespace
    let nicA: NICSpec
    let nicB: NICSpec

    var desired: Desired { desired([nicA, nicB]) }

    func desired(_ nics: [NICSpec]) -> Desired {
        var desired = Desired()
        desired.add(SwitchSpec(name: "blue"))
        for nic in nics { desired.add(nic) }
        let diagnostics = Diagnostics()
        GuardKind.derivation.run(&desired, diagnostics)
        return desired
    }

    /// Runs the body with both NICs applied: a with these addresses, b at 10.0.0.2 and fd00::2.
    static func with<Value>(
        addresses: [String], tenure: NFTenure = .lasting, _ body: (GuardStage) async throws -> Value
    ) async throws -> Value {
        try await TestNamespace.with { space in
            try await TestNamespace.with { a in
                try await TestNamespace.with { b in
                    let links = LinkListing(in: .namespace(space.name))
                    let kinds: [any ResourceKind] = [
                        SwitchKind(links: links),
                        GuardKind(links: links, NFLedger(in: links.location, tenure: tenure)), NICKind(links: links),
                    ]
                    func nic(_ machine: String, _ namespace: TestNamespace, _ addresses: [String]) -> NICSpec {
                        NICSpec(
                            machine: machine, name: "net0", switchName: "blue",
                            addresses: addresses.compactMap { IPAddress($0) }.map {
                                NICSpec.Address($0, length: $0.isIPv4 ? 24 : 64)
                            }, mtu: 1500,
                            attachment: .namespace(namespace.name, farEnd: .derived(from: "eth0"), gateways: []))
                    }
                    let stage = GuardStage(
                        node: Reconciler(kinds: kinds), a: a, b: b, space: space, nicA: nic("a", a, addresses),
                        nicB: nic("b", b, ["10.0.0.2", "fd00::2"]))
                    let report = await stage.node.apply(stage.desired)
                    #expect(report.exitCode == 0, "\(report.statuses)")
                    // A link that comes up carries nothing until the kernel has looked after it.
                    #expect(try await eventually(within: 60) { try await stage.isUp() })
                    return try await body(stage)
                }
            }
        }
    }

    private func isUp() async throws -> Bool {
        for guest in [a, b] {
            guard try await guest.run("ip", "-br", "link", "show", "eth0").contains(" UP ") else { return false }
        }
        return try await space.run("bridge", "link").split(separator: "\n").allSatisfy {
            $0.contains("state forwarding")
        }
    }

    /// Sends the frames from a, and expects those at b, and no others, that are to pass.
    func witness(_ frames: [Frame], at location: SourceLocation = #_sourceLocation) async throws {
        let script = #filePath.split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/frames.py"
        // The last frame tells the witness that all have been sent.
        let last = Frame(
            "end", passes: true,
            Frame.ethernet(from: nicA.mac, type: 0x0806, Frame.arp(mac: nicA.mac, address: "0.0.0.0")))
        let input = (frames + [last]).map(\.line).joined(separator: "\n")
        let seen = try await output(
            of: ["sh", "-c", "printf '%s\\n' \"$0\" | python3 \(script) \(a.name) \(b.name)", input])
        let expected = (frames + [last]).map { "\($0.name) \($0.passes ? "passed" : "dropped")" }
        #expect(seen.split(separator: "\n").map(String.init) == expected, sourceLocation: location)
    }
}
