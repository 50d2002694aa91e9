import Foundation
import Synchronization
import Testing

@testable import sdagent

@Suite("The daemon's desired state")
struct AgentTests {
    @Test("It makes the node what the file says, and a second look changes nothing")
    func converges() async throws {
        let place = try Workplace()
        let boxes = Boxes()
        try place.write("boxes: {a: {value: x}, b: {value: y}}")
        let agent = try place.agent(boxes)
        #expect(await agent.reload())
        let first = try #require(try await agent.reconcile())
        #expect(first.changes.map(\.id) == ["box/a", "box/b"])
        #expect(boxes.values == ["a": "x", "b": "y"])
        let second = try #require(try await agent.reconcile())
        #expect(second.changes.isEmpty)
        #expect(boxes.performed == 2)
    }

    @Test("A broken manifest leaves the last good one in force, says so, and is forgotten once mended")
    func brokenReload() async throws {
        let place = try Workplace()
        let boxes = Boxes()
        try place.write("boxes: {a: {value: x}}")
        let agent = try place.agent(boxes)
        await agent.reload()
        _ = try await agent.reconcile()

        try place.write("boxes: {a: {valeu: z}}")
        #expect(await agent.reload() == false)
        // Drift is still repaired, by the last good manifest.
        boxes.contents.withLock { $0.values["a"] = "drifted" }
        let repair = try #require(try await agent.reconcile())
        #expect(repair.exitCode == 0)
        #expect(boxes.values == ["a": "x"])
        let status = await agent.status
        #expect(status.exitCode == 1)
        let fault = try #require(status.daemon?.manifest.fault)
        #expect(fault.contains("unknown field 'valeu' in box 'a'"))
        #expect(fault.contains("did you mean 'value'?"))

        try place.write("boxes: {a: {value: z}}")
        #expect(await agent.reload())
        _ = try await agent.reconcile()
        #expect(boxes.values == ["a": "z"])
        #expect(await agent.status.daemon?.manifest.fault == nil)
        #expect(await agent.status.exitCode == 0)
    }

    @Test("An apply becomes the desired state, until the file says something else")
    func apply() async throws {
        let place = try Workplace()
        let boxes = Boxes()
        try place.write("boxes: {a: {value: x}}")
        let agent = try place.agent(boxes)
        await agent.reload()
        _ = try await agent.reconcile()
        let apply = try await agent.apply(place.request("boxes: {b: {value: y}}"))
        #expect(apply.changes.map(\.change) == ["delete", "create"])
        #expect(boxes.values == ["b": "y"])
        let again = try #require(try await agent.reconcile())
        #expect(again.changes.isEmpty)
        #expect(await agent.status.daemon?.manifest.sources == ["given.yaml"])
        // Who applies another file than the one that is followed is told so; who applies that one is not.
        #expect(apply.note?.hasPrefix("the daemon follows \(place.manifest): ") == true)
        let same = ManifestRequest(try ManifestPaths(paths: [place.manifest]).read())
        #expect(try await agent.apply(same).note == nil)
        await agent.reload()
        _ = try await agent.reconcile()
        #expect(boxes.values == ["a": "x"])
    }

    @Test("An apply with a mistake changes neither the node nor the desired state")
    func refusedApply() async throws {
        let place = try Workplace()
        let boxes = Boxes()
        try place.write("boxes: {a: {value: x}}")
        let agent = try place.agent(boxes)
        await agent.reload()
        _ = try await agent.reconcile()
        await #expect(throws: ManifestMistakes.self) {
            try await agent.apply(place.request("boxes: {b: {value: y}, b: {value: z}}"))
        }
        #expect(boxes.values == ["a": "x"])
        #expect(await agent.status.daemon?.manifest.sources == [place.manifest])
    }

    @Test("A plan changes nothing")
    func plan() async throws {
        let place = try Workplace()
        let boxes = Boxes()
        let agent = try place.agent(boxes)
        let plan = try await agent.plan(place.request("boxes: {b: {value: y}}"))
        #expect(plan.exitCode == 2)
        #expect(plan.changes.map(\.id) == ["box/b"])
        #expect(boxes.values.isEmpty)
        #expect(try await agent.reconcile() == nil)
    }

    @Test("One trouble is contained: the rest converges, and status names it with the remedy")
    func trouble() async throws {
        let place = try Workplace()
        let boxes = Boxes()
        boxes.contents.withLock { $0.refuses = ["a"] }
        let agent = try place.agent(boxes)
        let apply = try await agent.apply(place.request("boxes: {a: {value: x}, b: {value: y}}"))
        #expect(apply.exitCode == 1)
        #expect(apply.troubles.map(\.id) == ["box/a"])
        #expect(boxes.values == ["b": "y"])
        let status = await agent.status
        #expect(status.summary == ["failed": 1, "converged": 1])
        #expect(status.resources.first?.detail == "the lid of 'a' is stuck; pry it open")
        #expect(await agent.metrics.contains("sdagent_resources{kind=\"box\",state=\"failed\"} 1\n"))
        #expect(await agent.metrics.contains("sdagent_changes_total{result=\"done\"} 1\n"))
    }

    @Test("Many applies at once queue, and the last one stands")
    func queue() async throws {
        let place = try Workplace()
        let boxes = Boxes()
        let agent = try place.agent(boxes)
        try await withThrowingTaskGroup { group in
            for number in 0..<20 {
                group.addTask { _ = try await agent.apply(place.request("boxes: {a: {value: '\(number)'}}")) }
            }
            try await group.waitForAll()
        }
        let last = try #require(await agent.status.resources.first)
        #expect(last.state == "converged")
        let value = try #require(boxes.values["a"])
        let kept = try #require(ManifestHistory(place.state).newest())
        #expect(kept.files.first?.text == "boxes: {a: {value: '\(value)'}}")
    }

    @Test("After a start with a broken file, the manifest that was last in force is taken")
    func recovers() async throws {
        let place = try Workplace()
        let boxes = Boxes()
        try place.write("boxes: {a: {value: x}}")
        try await place.agent(boxes).reload()
        try place.write("boxes: [")
        let agent = try place.agent(boxes)
        #expect(await agent.reload() == false)
        #expect(await agent.recover())
        _ = try await agent.reconcile()
        #expect(boxes.values == ["a": "x"])
        #expect(await agent.status.daemon?.manifest.fault != nil)
    }

    @Test("Without history there is nothing to fall back to")
    func recoversNot() async throws {
        let place = try Workplace()
        let agent = try place.agent(Boxes())
        #expect(await agent.reload() == false)
        #expect(await agent.recover() == false)
    }
}

@Suite("How soon an event may cause the next look")
struct PaceTests {
    private let start = ContinuousClock.now

    @Test("While all is well, a look rests as long as it took")
    func well() {
        var pace = Pace()
        #expect(pace.delay(now: start) == nil)
        pace.ended(isWell: true, began: start, now: start + .milliseconds(80))
        #expect(pace.delay(now: start + .milliseconds(100)) == .milliseconds(60))
        #expect(pace.delay(now: start + .milliseconds(160)) == nil)
    }

    @Test("While something keeps failing, looks come at 1, 2, 4 … 30 seconds, and at once after a new manifest")
    func failing() {
        var pace = Pace()
        var delays: [Duration?] = []
        for _ in 0..<7 {
            pace.ended(isWell: false, began: start, now: start)
            delays.append(pace.delay(now: start))
        }
        #expect(delays == [1, 2, 4, 8, 16, 30, 30].map { .seconds($0) })
        pace.reset()
        #expect(pace.delay(now: start) == nil)
    }
}
