import Manifest
import Reconcile
import Synchronization
import Testing

@Suite("Reconciler")
struct ReconcilerTests {
    let node = ToyNode()

    var reconciler: Reconciler {
        Reconciler(kinds: [ToyKind<Ground>(node: node), ToyKind<Wall>(node: node), ToyKind<Roof>(node: node)])
    }

    func house() -> Desired {
        let here = Position(file: "house.yaml", line: 1, column: 1)
        var desired = Desired()
        desired.add(ToyKind<Ground>.self, "g", "flat", at: here)
        for name in ["w1", "w2"] {
            desired.add(
                ToyKind<Wall>.self, name, "brick", references: [Reference(ResourceID("ground", "g"), at: here)],
                at: here)
        }
        desired.add(
            ToyKind<Roof>.self, "r", "slate", references: [Reference(ResourceID("wall", "w2"), at: here)], at: here)
        return desired
    }

    @Test func `an apply makes everything in the order of kinds, and the second one does nothing`() async {
        let first = await reconciler.apply(house())
        #expect(first.exitCode == 0)
        #expect(first.plan.exitCode == 2)
        #expect(
            node.contents.withLock(\.log) == ["create ground/g", "create wall/w1", "create wall/w2", "create roof/r"])
        let second = await reconciler.apply(house())
        #expect(second.performed.isEmpty)
        #expect(second.exitCode == 0)
        #expect(await reconciler.plan(house()).exitCode == 0)
    }

    @Test func `what is ours and no longer named is removed, the last kind first, and what is foreign stays`() async {
        _ = await reconciler.apply(house())
        node.contents.withLock {
            $0.log = []
            $0.values["wall", default: [:]]["neighbour"] = "wood"
            $0.foreign = ["neighbour"]
        }
        let report = await reconciler.apply(Desired())
        #expect(report.exitCode == 0)
        #expect(
            node.contents.withLock(\.log) == ["delete roof/r", "delete wall/w2", "delete wall/w1", "delete ground/g"])
        #expect(node.contents.withLock { $0.values["wall"] } == ["neighbour": "wood"])
    }

    @Test(arguments: [
        (FieldChange("mtu", from: "1500", to: "1450"), "mtu is still 1500, 1450 was asked"),
        (FieldChange("address", from: "10.0.0.1/24"), "address is still 10.0.0.1/24, none was asked"),
        (FieldChange("mark", to: "blue"), "mark is still missing, blue was asked"),
        (FieldChange("owner"), "owner still differs"),
    ])
    func `what was done and does not show is told by its first field`(field: FieldChange, words: String) {
        let planned = PlannedChange(ResourceID("switch", "blue"), .update([field, FieldChange("other", to: "x")]))
        let status = ResourceStatus(planned, result: .performed(.done))
        #expect(status.state == .failed && status.detail == "did not converge: \(words)")
        let bare = ResourceStatus(PlannedChange(planned.id, .delete), result: .performed(.done))
        #expect(bare.detail == "did not converge: delete is still to be done")
    }

    @Test func `a refused item stops what stands on it and nothing else`() async {
        node.contents.withLock { $0.refuses = ["w2"] }
        let report = await reconciler.apply(house())
        #expect(report.exitCode == 1)
        #expect(report.performed[ResourceID("wall", "w1")] == .performed(.done))
        #expect(report.performed[ResourceID("wall", "w2")] == .performed(.failed("the node refuses 'w2'")))
        #expect(report.performed[ResourceID("roof", "r")] == .skipped(because: ResourceID("wall", "w2")))
        #expect(report.statuses.first { $0.id.name == "r" }?.state == .skipped)
        #expect(report.statuses.first { $0.id.name == "w2" }?.detail == "the node refuses 'w2'")
    }

    @Test func `what can do without a refused item is attempted all the same`() async {
        node.contents.withLock { $0.refuses = ["w2"] }
        var desired = house()
        desired.add(
            ToyKind<Roof>.self, "tent", "canvas", references: [Reference(ResourceID("wall", "w2"), isVital: false)])
        let report = await reconciler.apply(desired)
        #expect(report.performed[ResourceID("roof", "tent")] == .performed(.done))
        #expect(report.performed[ResourceID("roof", "r")] == .skipped(because: ResourceID("wall", "w2")))
        #expect(report.statuses.first { $0.id.name == "r" }?.detail.contains("stands on wall/w2") == true)
    }

    @Test func `a foreign thing in the way is a conflict, and what needs it is not attempted`() async {
        node.contents.withLock {
            $0.values["ground", default: [:]]["g"] = "swamp"
            $0.foreign = ["g"]
        }
        let report = await reconciler.apply(house())
        #expect(report.exitCode == 1)
        #expect(report.plan.exitCode == 1)
        #expect(node.contents.withLock(\.log).isEmpty)
        #expect(node.contents.withLock { $0.values["ground"]?["g"] } == "swamp")
    }

    @Test func `what stands on something degraded is made, and the apply has done its work`() async {
        node.contents.withLock {
            $0.values["ground", default: [:]]["g"] = "rock"
            $0.degraded = ["g"]
        }
        let report = await reconciler.apply(house())
        #expect(report.exitCode == 0)
        #expect(report.plan.exitCode == 2)
        #expect(report.after.exitCode == 0)
        #expect(report.performed[ResourceID("roof", "r")] == .performed(.done))
        let ground = report.statuses.first { $0.id.name == "g" }
        #expect(ground?.state == .degraded && ground?.detail == "'g' gives way")
        #expect(ground?.state.isTrouble == true)
    }

    @Test func `a kind that cannot be looked at fails alone, and nothing that stands on it is touched`() async {
        node.contents.withLock { $0.blind = ["wall"] }
        let report = await reconciler.apply(house())
        #expect(report.exitCode == 1)
        #expect(report.plan.failures == [ObservationFailure(kind: "wall", reason: "the node does not answer")])
        #expect(node.contents.withLock(\.log) == ["create ground/g"])
    }

    @Test func `a node that changed under the apply is looked at again, up to three times`() async {
        node.contents.withLock { $0.staleTimes = 1 }
        #expect(await reconciler.apply(house()).exitCode == 0)
        node.contents.withLock {
            $0.values = [:]
            $0.staleTimes = 1_000
        }
        let report = await reconciler.apply(house())
        #expect(report.exitCode == 1)
        #expect(report.statuses.first { $0.id.name == "g" }?.detail.contains("kept changing") == true)
    }

    @Test func `drift is an update that names the field, and is repaired`() async {
        _ = await reconciler.apply(house())
        node.contents.withLock { $0.values["roof"]?["r"] = "straw" }
        let plan = await reconciler.plan(house())
        #expect(plan.pending.map(\.change) == [.update([FieldChange("value", from: "straw", to: "slate")])])
        #expect(await reconciler.apply(house()).exitCode == 0)
        #expect(node.contents.withLock { $0.values["roof"]?["r"] } == "slate")
    }

    @Test func `what a change took away from another kind is put back in the same apply`() async {
        _ = await reconciler.apply(house())
        node.contents.withLock {
            $0.values["ground"]?["g"] = "tilted"
            $0.collapses = "ground"
        }
        let report = await reconciler.apply(house())
        #expect(report.plan.pending.map(\.id) == [ResourceID("ground", "g")])
        #expect(report.exitCode == 0)
        #expect(node.contents.withLock { $0.values["roof"] } == ["r": "slate"])
    }

    @Test func `what was done and is to be changed further is taken up again, what is the same again is not`() async {
        _ = await reconciler.apply(house())
        node.contents.withLock {
            $0.log = []
            $0.values["ground"]?["g"] = "tilted"
            $0.halfway = ["g"]
        }
        #expect(await reconciler.apply(house()).exitCode == 0)
        #expect(node.contents.withLock(\.log) == ["update ground/g", "update ground/g"])
        node.contents.withLock {
            $0.log = []
            $0.values["ground"]?["g"] = "half"
            $0.halfway = ["g"]
        }
        let report = await reconciler.apply(house())
        #expect(report.statuses.first { $0.id.name == "g" }?.detail.contains("did not converge") == true)
        #expect(node.contents.withLock(\.log) == ["update ground/g"])
    }

    @Test func `a dangling reference is found with its place`() {
        var desired = house()
        desired.add(
            ToyKind<Roof>.self, "r2", "slate",
            references: [Reference(ResourceID("wall", "w9"), at: Position(file: "house.yaml", line: 7, column: 3))])
        let dangling = desired.danglingReferences(kinds: reconciler.kinds)
        #expect(dangling.map(\.reference.target) == [ResourceID("wall", "w9")])
        #expect(dangling.map(\.reference.position?.line) == [7])
    }
}

@Suite("Plan text")
struct PlanTextTests {
    @Test func `every kind of change reads as meant`() {
        let plan = Plan(
            changes: [
                PlannedChange(ResourceID("nic", "vm9/net0"), .delete),
                PlannedChange(ResourceID("switch", "blue"), .create([FieldChange("mtu", to: "1450")])),
                PlannedChange(
                    ResourceID("nic", "vm1/net0"),
                    .update([FieldChange("mtu", from: "1500", to: "1450"), FieldChange("owner", from: "0")])),
                PlannedChange(
                    ResourceID("nic", "vm10/net0"), .replace(reason: "a tap's queues are fixed", [])),
                PlannedChange(ResourceID("router", "gw"), .none),
                PlannedChange(ResourceID("volume", "old"), .orphan(reason: "no longer named; kept")),
                PlannedChange(ResourceID("target", "iqn.x:a"), .waiting(reason: "served by `sdagent run`")),
                PlannedChange(ResourceID("pool", "fast"), .degraded(reason: "full; make room")),
                PlannedChange(ResourceID("switch", "red"), .conflict(reason: "a foreign link 'red' is there")),
            ], failures: [ObservationFailure(kind: "nat", reason: "netlink: permission denied")])
        #expect(
            PlanText().render(plan) == """
                  - nic/vm9/net0  delete
                  + switch/blue  create
                        mtu  1450
                  ~ nic/vm1/net0  update
                        mtu    1500 → 1450
                        owner  0 → none
                  ± nic/vm10/net0  replace: a tap's queues are fixed
                  ? volume/old  orphan: no longer named; kept
                  … target/iqn.x:a  waiting: served by `sdagent run`
                  ! pool/fast  degraded: full; make room
                  ! switch/red  conflict: a foreign link 'red' is there
                  ! nat: cannot be looked at: netlink: permission denied

                Plan: 1 to create, 1 to update, 1 to replace, 1 to delete; 1 waiting for `sdagent run`, \
                1 kept as orphan, 1 degraded, 2 that cannot be done.

                """)
    }

    @Test func `who loses something is shown, in a long run too`() {
        let changes = (1...9).map { number in
            PlannedChange(
                ResourceID("target", "iqn.x:\(number)"), .update([FieldChange("luns.0", from: "a", to: "b")]),
                disruption: number % 4 == 1 ? ["takes LUN 0 (a) from vm\(number)"] : [])
        }
        #expect(
            PlanText(limit: 1).render(Plan(changes: changes)) == """
                  ~ target/iqn.x:1  update
                        luns.0  a → b
                        ! takes LUN 0 (a) from vm1
                  ~ … and 8 more target to update
                        ! target/iqn.x:5: takes LUN 0 (a) from vm5
                        ! target/iqn.x:9: takes LUN 0 (a) from vm9

                Plan: 9 to update.

                """)
    }

    @Test func `a long run is cut and counted, and names sort as a person counts`() async {
        let node = ToyNode()
        var desired = Desired()
        for number in 1...1_000 { desired.add(ToyKind<Wall>.self, "vm\(number)", "brick") }
        let plan = await Reconciler(kinds: [ToyKind<Wall>(node: node)]).plan(desired)
        #expect(plan.changes.map(\.id.name).prefix(11).last == "vm11")
        let text = PlanText(limit: 2).render(plan)
        #expect(
            text == """
                  + wall/vm1  create
                        value  brick
                  + wall/vm2  create
                        value  brick
                  + … and 998 more wall to create

                Plan: 1000 to create.

                """)
    }

    @Test func `nothing to do is said in one line`() {
        #expect(PlanText().render(Plan(changes: [])) == "Plan: no changes.\n")
    }
}
