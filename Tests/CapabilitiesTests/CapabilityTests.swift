import Testing

@testable import Capabilities

@Suite("Capabilities as a value")
struct CapabilityTests {
    @Test("A fallback counts only where what it stands on is there")
    func fallbacks() {
        let lack = Availability.missing(option: "CONFIG_NF_CONNTRACK_BRIDGE")
        let helped = Capabilities(raw: [.conntrackBridge: lack])
        #expect(helped[.conntrackBridge] == .fallback("marks set by a table behind br_netfilter"))
        #expect(!helped.has(.conntrackBridge))
        #expect(helped.has(.bridgeNetfilter))
        let alone = Capabilities(raw: [.conntrackBridge: lack, .bridgeNetfilter: .unloaded(module: "br_netfilter")])
        #expect(alone[.conntrackBridge] == lack)
        #expect(alone.lacks(.conntrackBridge))
        #expect(!alone.has(.bridgeNetfilter))
        let free = Capabilities(raw: [.vhostNet: .missing(option: "CONFIG_VHOST_NET")])
        #expect(free[.vhostNet] == .fallback("the hypervisor's own copies, slower"))
    }

    @Test("What could not be tried is neither there nor lacking")
    func unknown() {
        let capabilities = Capabilities(raw: [.bridge: .unknown(.needsRoot)])
        #expect(!capabilities.has(.bridge))
        #expect(!capabilities.lacks(.bridge))
        #expect(capabilities[.bridge] == .unknown(.needsRoot))
    }

    @Test("The remedy is the release where it is too old, the module where it waits, else the option")
    func remedies() {
        let lack = Availability.missing(option: "CONFIG_BRIDGE")
        #expect(
            Capabilities(release: "6.1.0-18-amd64", raw: [.macLimit: lack]).remedy(for: .macLimit)
                == "Linux 6.7 or later")
        #expect(
            Capabilities(release: "6.12.1", raw: [.macLimit: lack]).remedy(for: .macLimit)
                == "a kernel with CONFIG_BRIDGE")
        let waiting = Capabilities(raw: [.bridgeNetfilter: .unloaded(module: "br_netfilter")])
        #expect(waiting.remedy(for: .bridgeNetfilter) == "`modprobe br_netfilter`")
    }

    @Test("Releases are read as uname gives them")
    func releases() {
        #expect(KernelRelease(parsing: "6.1.0-18-cloud-amd64") == KernelRelease(6, 1))
        #expect(KernelRelease(parsing: "6.18-rc1") == KernelRelease(6, 18))
        #expect(KernelRelease(6, 9) < KernelRelease(6, 18))
        for text in ["", "unknown", "6", "x.1", "99999999999999999999.1"] {
            #expect(KernelRelease(parsing: text) == nil)
        }
    }

    @Test("Facts name an option, and no fallback goes round in a circle")
    func facts() {
        for capability in Capability.allCases {
            let facts = capability.facts
            #expect(facts.option.hasPrefix("CONFIG_") && facts.option.count > 8)
            #expect(!facts.purpose.isEmpty)
            #expect(facts.fallback?.needs.map { $0 != capability && $0.facts.fallback == nil } ?? true, "\(capability)")
        }
        let purposes = Capability.allCases.map(\.facts.purpose)
        #expect(Set(purposes).count == purposes.count)
    }
}
