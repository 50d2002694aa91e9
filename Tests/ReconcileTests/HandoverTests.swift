import Reconcile
import Synchronization
import Testing

/// What one resource of ours gives up in a plan, another one gets in the same plan.
@Suite("Handovers")
struct HandoverTests {
    let node = ToyNode()

    var reconciler: Reconciler {
        Reconciler(kinds: [ToyKind<Ground>(node: node), ToyKind<Wall>(node: node), ToyKind<Roof>(node: node)])
    }

    func desired(ground: [String: String] = [:], walls: [String: String] = [:], roofs: [String: String] = [:])
        -> Desired
    {
        var desired = Desired()
        for (name, value) in ground { desired.add(ToyKind<Ground>.self, name, value) }
        for (name, value) in walls { desired.add(ToyKind<Wall>.self, name, value) }
        for (name, value) in roofs { desired.add(ToyKind<Roof>.self, name, value) }
        return desired
    }

    /// What is done, in order, on the way from one set to another. All of it was planned, and nothing is left to do.
    func steps(from old: Desired, to new: Desired) async -> [String] {
        _ = await reconciler.apply(old)
        node.contents.withLock { $0.log = [] }
        #expect(await reconciler.plan(new).exitCode == 2)
        let report = await reconciler.apply(new)
        #expect(report.exitCode == 0, "\(report.statuses)")
        #expect(await reconciler.plan(new).exitCode == 0)
        return node.contents.withLock(\.log)
    }

    @Test func `a place that is left goes to another in one pass`() async {
        let steps = await steps(from: desired(walls: ["w2": "@x"]), to: desired(walls: ["w1": "@x"]))
        #expect(steps == ["delete wall/w2", "create wall/w1"])
    }

    @Test func `a place goes from kind to kind, both ways`() async {
        let down = await steps(from: desired(roofs: ["r": "@x"]), to: desired(ground: ["g": "@x"]))
        #expect(down == ["delete roof/r", "create ground/g"])
        let up = await steps(from: desired(ground: ["g": "@x"]), to: desired(roofs: ["r": "@x"]))
        #expect(up == ["delete ground/g", "create roof/r"])
    }

    @Test func `two of a kind swap their places, and three go round`() async {
        let swap = await steps(
            from: desired(walls: ["w1": "@x", "w2": "@y"]), to: desired(walls: ["w1": "@y", "w2": "@x"]))
        #expect(swap == ["replace wall/w1", "replace wall/w2"])
        let round = await steps(
            from: desired(walls: ["w1": "@y", "w2": "@x", "w3": "@z"]),
            to: desired(walls: ["w1": "@x", "w2": "@z", "w3": "@y"]))
        #expect(round == ["replace wall/w1", "replace wall/w2", "replace wall/w3"])
    }

    @Test func `one that an earlier kind waits for goes before, and comes in its turn`() async {
        let steps = await steps(
            from: desired(roofs: ["r": "@x", "s": "@z"]),
            to: desired(ground: ["g": "@x"], roofs: ["r": "@y", "s": "@a"]))
        #expect(steps == ["delete roof/r", "create ground/g", "create roof/r", "replace roof/s"])
    }

    @Test func `two kinds swap a place`() async {
        let steps = await steps(
            from: desired(ground: ["g": "@x"], roofs: ["r": "@y"]),
            to: desired(ground: ["g": "@y"], roofs: ["r": "@x"]))
        #expect(steps == ["delete roof/r", "replace ground/g", "create roof/r"])
    }

    @Test func `a place that is kept is a conflict for all who wait behind it`() async {
        _ = await reconciler.apply(desired(walls: ["w1": "@x", "w2": "@y", "w3": "@z"]))
        node.contents.withLock {
            $0.log = []
            $0.foreign = ["w1"]
        }
        let wanted = desired(walls: ["w1": "@x", "w2": "@x", "w3": "@y", "w4": "@z", "w5": "@q"])
        let plan = await reconciler.plan(wanted)
        let words = plan.changes.map { "\($0.id.name) \($0.change.word): \($0.change.reason ?? "")" }
        #expect(
            words == [
                "w1 conflict: 'w1' is there and not ours", "w2 conflict: wall/w1 is there and stays",
                "w3 conflict: wall/w2 is there and stays", "w4 conflict: wall/w3 is there and stays", "w5 create: ",
            ])
        #expect(plan.exitCode == 1)
        #expect(await reconciler.apply(wanted).exitCode == 1)
        #expect(node.contents.withLock(\.log) == ["create wall/w5"])
    }

    @Test func `who waits for one that cannot go is not attempted`() async {
        let old = desired(walls: ["w1": "@x"], roofs: ["r": "@z"])
        _ = await reconciler.apply(old)
        node.contents.withLock {
            $0.log = []
            $0.refuses = ["w1", "r"]
        }
        let report = await reconciler.apply(desired(ground: ["g": "@z"], walls: ["w2": "@x"], roofs: ["r": "@y"]))
        #expect(report.exitCode == 1)
        #expect(report.performed[ResourceID("wall", "w2")] == .skipped(because: ResourceID("wall", "w1")))
        #expect(report.performed[ResourceID("ground", "g")] == .skipped(because: ResourceID("roof", "r")))
        #expect(report.performed[ResourceID("roof", "r")] == .performed(.failed("the node refuses 'r'")))
        #expect(node.contents.withLock(\.log) == ["delete roof/r", "delete wall/w1"])
    }

    @Test func `who is skipped keeps its place, and who waits for it is skipped too`() async {
        _ = await reconciler.apply(desired(ground: ["g": "flat"], walls: ["w1": "@x", "w2": "@y"]))
        node.contents.withLock {
            $0.log = []
            $0.refuses = ["g"]
        }
        var wanted = desired(ground: ["g": "steep"], walls: ["w1": "@y"])
        wanted.add(ToyKind<Wall>.self, "w2", "@z", references: [Reference(ResourceID("ground", "g"))])
        let report = await reconciler.apply(wanted)
        #expect(report.performed[ResourceID("wall", "w2")] == .skipped(because: ResourceID("ground", "g")))
        #expect(report.performed[ResourceID("wall", "w1")] == .skipped(because: ResourceID("wall", "w2")))
        #expect(node.contents.withLock(\.log) == ["update ground/g"])
        #expect(node.contents.withLock { $0.values["wall"] } == ["w1": "@x", "w2": "@y"])
    }
}
