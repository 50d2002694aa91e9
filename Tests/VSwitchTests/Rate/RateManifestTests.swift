import Netlink
import Reconcile
import Testing
import VSwitch

/// The field `rate` of a NIC as it is read.
struct RateManifestTests {
    private func load(_ rate: String) -> (desired: Desired?, mistakes: [String]) {
        Manifests.load("switches: { blue: {} }\nvms: { vm1: { nics: [ { switch: blue, rate: \(rate) } ] } }\n")
    }

    private func spec(_ rate: String) -> RateSpec? {
        load(rate).desired?.specs(of: RateKind.self)["vm1/net0"]
    }

    @Test func `caps with the burst that they need, or a larger one`() throws {
        let found = try #require(spec("{ ingress: 100Mbit, egress: { cap: 1 Gbit, burst: 1MiB } }"))
        #expect(found.ingress == RateCap(rate: 100_000_000, burst: 64 << 10))
        #expect(found.egress == RateCap(rate: 1_000_000_000, burst: 1 << 20))
        #expect(found.isTap && found.interface.description == "vm1-net0")
        // What is due after 2 ms.
        #expect(RateCap(rate: 10_000_000_000).burst == 2_500_000)
        #expect(load("{ ingress: 64kbit }").mistakes == [] && load("{ egress: 100Gbit }").mistakes == [])
    }

    @Test func `a NIC without a rate has none, and one has what it asks for only`() throws {
        let plain = Manifests.load("switches: { blue: {} }\nvms: { vm1: { nics: [ { switch: blue } ] } }\n")
        #expect(plain.desired?.specs(of: RateKind.self).isEmpty == true)
        let found = try #require(spec("{ egress: 5Mbit }"))
        #expect(found.ingress == nil && found.egress == RateCap(rate: 5_000_000))
    }

    @Test(
        arguments: [
            ("100Mbit", "'rate' of nic 1 of vm 'vm1' does not say what is capped"),
            ("{ ingres: 1Mbit }", "unknown field 'ingres' in 'rate' of nic 1 of vm 'vm1'"),
            ("{ ingress: 100 }", "'ingress' of 'rate' of nic 1 of vm 'vm1' is not a rate: '100'"),
            ("{ ingress: 1kbit }", "'ingress' of 'rate' of nic 1 of vm 'vm1' must be 64kbit to 100Gbit, not 1kbit"),
            ("{ ingress: 101Gbit }", "'ingress' of 'rate' of nic 1 of vm 'vm1' must be 64kbit to 100Gbit, not 101Gbit"),
            ("{ egress: { burst: 1MiB } }", "'egress' of 'rate' of nic 1 of vm 'vm1' needs 'cap'"),
            (
                "{ egress: { cap: 10Gbit, burst: 64KiB } }",
                "'burst' of 'egress' of 'rate' of nic 1 of vm 'vm1' must be 2500000B to 1GiB, not 64KiB"
            ),
            (
                "{ egress: { cap: 1Mbit, burst: 64MiB } }",
                "'burst' of 'egress' of 'rate' of nic 1 of vm 'vm1' must be 64KiB to 30000000B, not 64MiB"
            ),
        ])
    func `a mistake is told`(_ rate: String, _ message: String) {
        let (desired, mistakes) = load(rate)
        #expect(desired == nil)
        #expect(mistakes.contains { $0.hasSuffix(" \(message)") }, "\(mistakes)")
    }

    @Test func `no other resource has the name of an ifb`() {
        let (_, mistakes) = Manifests.load(
            """
            switches: { ifb-vm1-net0: {} }
            vms: { vm1: { nics: [ { switch: ifb-vm1-net0, rate: { egress: 1Mbit } } ] } }
            """)
        #expect(mistakes.count == 1 && mistakes[0].contains("both have the interface name ifb-vm1-net0"), "\(mistakes)")
    }
}
