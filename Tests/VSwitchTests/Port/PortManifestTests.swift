import Reconcile
import Testing
import VSwitch

/// The fields of switches and NICs about how frames are carried, and their mistakes.
struct PortManifestTests {
    @Test func `settings are read`() throws {
        let (desired, mistakes) = Manifests.load(
            """
            switches:
              plain: {}
              tree: { stp: true, ageing: 60, macs: 1000 }
              root: { stp: { priority: 4096, forwardDelay: 4 }, multicast: { snooping: true } }
              quiet: { stp: false, multicast: { snooping: true, querier: false } }
            vms:
              vm1:
                nics:
                  - { switch: tree, isolated: true }
                  - { switch: plain, learning: static }
                  - { switch: plain, isolated: false, learning: dynamic }
            """)
        #expect(mistakes == [])
        let switches = try #require(desired).specs(of: SwitchKind.self).mapValues(\.settings)
        #expect(switches["plain"] == SwitchSettings())
        let tree = try #require(switches["tree"])
        #expect(tree.spanningTree?.priority == 32_768 && tree.spanningTree?.forwardDelay == 15)
        #expect(tree.ageing == 60 && tree.macs == 1000 && tree.multicast == .flood)
        let root = try #require(switches["root"])
        #expect(root.spanningTree?.priority == 4096 && root.spanningTree?.forwardDelay == 4)
        #expect(root.multicast == .snoop(isQuerier: true))
        #expect(switches["quiet"]?.multicast == .snoop(isQuerier: false) && switches["quiet"]?.spanningTree == nil)
        let nics = try #require(desired).specs(of: NICKind.self).mapValues(\.port)
        #expect(nics["vm1/net0"]?.isIsolated == true && nics["vm1/net0"]?.guardsTree == true)
        #expect(nics["vm1/net1"]?.learning == .fixed && nics["vm1/net2"] == PortSettings())
    }

    @Test func `mistakes`() {
        let (_, mistakes) = Manifests.load(
            """
            switches:
              a: { stp: maybe, ageing: 5, macs: 0 }
              b: { stp: { priority: 5000, forwardDelay: 2 }, multicast: { querier: true } }
              c: { multicast: { snoop: true } }
            vms: { vm1: { nics: [ { switch: a, isolated: 1, learning: off } ] } }
            """)
        for words in [
            "'stp' of switch 'a'", "'ageing' of switch 'a'", "'macs' of switch 'a'", "5000 is no priority of a bridge",
            "'forwardDelay' of 'stp' of switch 'b'", "a querier is for a switch that listens to the answers",
            "snoop", "'isolated' of nic 1 of vm 'vm1'", "'learning' of nic 1 of vm 'vm1'",
        ] { #expect(mistakes.contains { $0.contains(words) }, "\(words) in \(mistakes)") }
        #expect(mistakes.count == 9, "\(mistakes)")
    }
}
