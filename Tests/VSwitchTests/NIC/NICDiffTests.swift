import Reconcile
import Testing

@testable import Netlink
@testable import VSwitch

/// The NIC's diff is pure: a spec and an observation in, a change out.
struct NICDiffTests {
    private let kind = NICKind(links: LinkListing())

    private func spec(owner: NICSpec.Owner? = nil) -> NICSpec {
        NICSpec(machine: "vm1", name: "net0", switchName: "blue", mtu: 1500, attachment: .tap(owner: owner))
    }

    /// A link that is just as the spec wants it.
    private func good(_ spec: NICSpec) -> Link {
        var link = Link(index: 9, name: spec.interface)
        link.kind = .tun
        link.alias = "sdagent nic/vm1/net0"
        link.mac = spec.hostMAC
        link.mtu = 1500
        link.master = 5
        link.isUp = true
        link.addressGeneration = AddressGeneration.none
        link.isIPv6Disabled = true
        link.tun = TunAttributes(isTap: true, isMultiQueue: true, hasVirtioHeader: true, isPersistent: true)
        return link
    }

    private func diff(_ spec: NICSpec?, _ change: (inout NICObservation) -> Void = { _ in }) -> Change {
        var observation = NICObservation()
        observation.link = good(self.spec())
        observation.bridge = 5
        change(&observation)
        return kind.diff(name: "vm1/net0", spec: spec, observation: observation)
    }

    @Test func `equal is none, nothing is create, unwanted is delete`() {
        #expect(diff(spec()) == .none)
        #expect(diff(nil) == .delete)
        #expect(kind.diff(name: "vm1/net0", spec: spec(), observation: nil).word == "create")
        #expect(diff(nil) { $0.link = nil } == .none)
    }

    @Test func `each property that differs is a field of an update`() {
        #expect(diff(spec()) { $0.link?.mtu = 1400 } == .update([FieldChange("mtu", from: "1400", to: "1500")]))
        #expect(diff(spec()) { $0.link?.isUp = false } == .update([FieldChange("state", from: "down", to: "up")]))
        #expect(diff(spec()) { $0.link?.master = nil } == .update([FieldChange("switch", to: "blue")]))
        #expect(
            diff(spec()) { $0.link?.master = 6 } == .update([FieldChange("switch", from: "another bridge", to: "blue")])
        )
        #expect(
            diff(spec()) { $0.link?.isIPv6Disabled = false }
                == .update([FieldChange("ipv6 of the port", from: "on", to: "off")]))
        #expect(diff(spec(owner: .number(7))) { $0.owner = 7 } == .update([FieldChange("owner", to: "7")]))
        // A kernel without IPv6 shows neither setting, and nothing is missing.
        #expect(
            diff(spec()) {
                $0.link?.isIPv6Disabled = nil
                $0.link?.addressGeneration = nil
            } == .none)
    }

    @Test func `what cannot be changed in place is replaced, and says why`() {
        let reasons = [
            diff(spec()) { $0.link?.tun?.isMultiQueue = false }, diff(spec()) { $0.link?.tun?.hasVirtioHeader = false },
            diff(spec()) { $0.link?.tun?.isPersistent = false }, diff(spec()) { $0.link?.tun?.owner = 3 },
            diff(spec()) { $0.link?.kind = .veth }, diff(spec()) { $0.link?.name = .derived(from: "other") },
        ]
        #expect(reasons.allSatisfy { $0.word == "replace" && $0.reason?.isEmpty == false })
        #expect(Set(reasons.compactMap(\.reason)).count == reasons.count)
    }

    @Test func `a problem and an occupant are refusals`() {
        #expect(diff(spec()) { $0.problem = "no such user" } == .unsupported(reason: "no such user"))
        var link = Link(index: 3, name: .derived(from: "vm1-net0"))
        let port = diff(spec()) { $0.occupant = link }
        #expect(port.isRefusal && port.reason?.hasSuffix("give the NIC another `interface:`") == true)
        link.kind = .bridge
        let conflict = diff(spec()) { $0.occupant = link }
        #expect(conflict.isRefusal && conflict.reason?.contains("ip link delete vm1-net0") == true)
    }

    @Test func `the mark of an uplink is read back, and nothing else is taken for one`() {
        var link = Link(index: 3, name: .derived(from: "eth1"))
        link.isUp = true
        link.addressGeneration = .random
        let mark = UplinkMark("blue.1", on: link)
        #expect(mark.text == "sdagent.uplink.103.3.blue.1" && UplinkMark(mark.text) == mark)
        for text in [
            "", "eth1", "sdagent.uplink.", "sdagent.uplink.103.", "sdagent.uplink.103.3", "sdagent.uplink.103.3.",
            "sdagent.uplink.203.3.x", "sdagent.uplink.109.3.x", "sdagent.uplink.10x.3.x", "sdagent.uplink.1033.x",
            "sdagent.uplink.103.x.x", "sdagent.uplink.103.99999999999.x",
        ] { #expect(UplinkMark(text) == nil, "\(text)") }
    }
}
