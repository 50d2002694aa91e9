import ArgumentParser
import Reconcile
import Testing

@testable import sdagent

@Suite("What a person reads")
struct OutputTests {
    static let report: ApplyReport = {
        let plan = Plan(changes: [
            PlannedChange(ResourceID("nic", "vm9/net0"), .delete),
            PlannedChange(ResourceID("switch", "blue"), .create([FieldChange("mtu", to: "1450")])),
            PlannedChange(ResourceID("switch", "red"), .none),
            PlannedChange(ResourceID("nic", "vm1/net0"), .update([FieldChange("mtu", from: "1500", to: "1450")])),
            PlannedChange(ResourceID("nic", "vm2/net0"), .create([])),
            PlannedChange(ResourceID("volume", "old"), .orphan(reason: "it holds data")),
            PlannedChange(ResourceID("target", "iqn.x:a"), .waiting(reason: "only the daemon serves targets")),
            PlannedChange(ResourceID("target", "iqn.x:b"), .update([]), disruption: ["takes LUN 0 (a) from vm1"]),
        ])
        let after = Plan(changes: [
            PlannedChange(ResourceID("switch", "blue"), .none),
            PlannedChange(ResourceID("switch", "red"), .none),
            PlannedChange(ResourceID("nic", "vm1/net0"), .none),
            PlannedChange(ResourceID("nic", "vm2/net0"), .create([])),
            PlannedChange(ResourceID("volume", "old"), .orphan(reason: "it holds data")),
            PlannedChange(ResourceID("target", "iqn.x:a"), .waiting(reason: "only the daemon serves targets")),
        ])
        return ApplyReport(
            plan: plan,
            performed: [
                ResourceID("nic", "vm9/net0"): .performed(.done),
                ResourceID("switch", "blue"): .performed(.done),
                ResourceID("nic", "vm1/net0"): .performed(.done),
                ResourceID("nic", "vm2/net0"): .performed(
                    .failed("the kernel has no TUN driver; load it with modprobe tun")),
            ],
            after: after)
    }()

    @Test("An apply says what it did, change by change, and what it could not do")
    func apply() {
        let document = ApplyDocument(Self.report)
        #expect(
            ApplyText().render(document) == """
                  - nic/vm9/net0  deleted
                  + switch/blue  created
                        mtu  1450
                  ~ nic/vm1/net0  updated
                        mtu  1500 → 1450

                Applied: 1 created, 1 updated, 1 deleted; 1 failed. 1 waiting for `sdagent run`. 1 kept as orphan.

                """)
        #expect(
            ApplyText().renderTroubles(document) == """
                sdagent: nic/vm2/net0: failed: the kernel has no TUN driver; load it with modprobe tun

                """)
        #expect(document.exitCode == 1)
    }

    @Test("An apply with nothing to do says so")
    func nothing() {
        let plan = Plan(changes: [PlannedChange(ResourceID("switch", "blue"), .none)])
        let document = ApplyDocument(ApplyReport(plan: plan, performed: [:], after: plan))
        #expect(ApplyText().render(document) == "No changes: the node is as the manifest says.\n")
        #expect(ApplyText().renderTroubles(document) == "")
        #expect(document.exitCode == 0)
    }

    @Test("An apply that could do nothing says so")
    func refused() {
        let plan = Plan(changes: [PlannedChange(ResourceID("switch", "blue"), .conflict(reason: "a bridge is there"))])
        let document = ApplyDocument(ApplyReport(plan: plan, performed: [:], after: plan))
        #expect(ApplyText().render(document) == "Not applied: 1 conflict.\n")
        #expect(ApplyText().renderTroubles(document) == "sdagent: switch/blue: conflict: a bridge is there\n")
        #expect(document.exitCode == 1)
    }

    @Test("Many troubles are cut, and the cut is named")
    func manyTroubles() {
        let plan = Plan(changes: (0..<30).map { PlannedChange(ResourceID("nic", "vm\($0)/net0"), .create([])) })
        let results = plan.changes.map { ($0.id, StepResult.performed(.failed("no"))) }
        let report = ApplyReport(plan: plan, performed: Dictionary(uniqueKeysWithValues: results), after: plan)
        let text = ApplyText().renderTroubles(ApplyDocument(report))
        let lines = text.split(separator: "\n")
        #expect(lines.count == 21)
        #expect(lines.last == "sdagent: … and 10 more; `sdagent status` names them all")
    }

    @Test("A status is a table with a sum below it")
    func status() {
        let document = StatusDocument(daemon: nil, statuses: Self.report.statuses, failures: [])
        #expect(
            StatusText().render(document) == """
                RESOURCE        STATE      DETAIL
                switch/blue     converged
                switch/red      converged
                nic/vm1/net0    converged
                nic/vm2/net0    failed     the kernel has no TUN driver; load it with modprobe tun
                volume/old      orphan     it holds data
                target/iqn.x:a  waiting    only the daemon serves targets

                6 resources: 3 converged, 1 waiting, 1 orphan, 1 failed. \
                No daemon is running; this is what the command has seen.

                """)
        #expect(document.exitCode == 1)
    }

    @Test("What is degraded is trouble in a status, and none of an apply's")
    func degraded() {
        let plan = Plan(changes: [PlannedChange(ResourceID("pool", "fast"), .degraded(reason: "full; make room"))])
        let report = ApplyReport(plan: plan, performed: [:], after: plan)
        let status = StatusDocument(daemon: nil, statuses: report.statuses, failures: [])
        #expect(
            StatusText().render(status) == """
                RESOURCE   STATE     DETAIL
                pool/fast  degraded  full; make room

                1 resource: 1 degraded. No daemon is running; this is what the command has seen.

                """)
        #expect(status.exitCode == 1)
        let apply = ApplyDocument(report)
        #expect(apply.exitCode == 0)
        #expect(ApplyText().render(apply) == "No changes: the node is as the manifest says. 1 degraded.\n")
        #expect(ApplyText().renderTroubles(apply) == "sdagent: pool/fast: degraded: full; make room\n")
        #expect(PlanDocument(plan).plan == plan)
    }

    @Test("A status shows why a newer manifest was not taken over")
    func brokenManifest() {
        let manifest = ManifestDocument(sources: ["a.yaml"], since: nil, fault: "a.yaml:1:1: error: no\n1 mistake.\n")
        let daemon = DaemonDocument(version: "0.1.0", pid: 7, started: "S", looked: "L", manifest: manifest)
        let document = StatusDocument(daemon: daemon, statuses: [], failures: [])
        #expect(
            StatusText().render(document) == """
                ! A newer manifest was not taken over; the last good one is kept:
                  a.yaml:1:1: error: no
                  1 mistake.

                0 resources. Daemon 0.1.0, pid 7, looked at L.

                """)
        #expect(document.exitCode == 1)
    }

    @Test("A plan goes through JSON and back to the same text")
    func planRoundTrip() throws {
        let document = PlanDocument(Self.report.plan)
        let bytes = try JSONText.compact(document)
        let back = try JSONText.decode(PlanDocument.self, bytes)
        #expect(back == document)
        #expect(PlanText().render(back.plan) == PlanText().render(Self.report.plan))
        #expect(back.unchanged == 1)
    }

    @Test("The JSON of a plan keeps its form")
    func planJSON() throws {
        let plan = Plan(
            changes: [
                PlannedChange(ResourceID("switch", "blue"), .replace(reason: "no way", [FieldChange("mtu", to: "9")]))
            ],
            failures: [ObservationFailure(kind: "nat", reason: "no nftables")])
        #expect(
            try JSONText.pretty(PlanDocument(plan)) == """
                {
                  "changes" : [
                    {
                      "change" : "replace",
                      "fields" : [
                        {
                          "field" : "mtu",
                          "to" : "9"
                        }
                      ],
                      "id" : "switch/blue",
                      "kind" : "switch",
                      "name" : "blue",
                      "reason" : "no way"
                    }
                  ],
                  "exitCode" : 1,
                  "failures" : [
                    {
                      "kind" : "nat",
                      "reason" : "no nftables"
                    }
                  ],
                  "unchanged" : 0
                }

                """)
    }

    @Test("A change that this program does not know is left out, not guessed")
    func unknownChange() throws {
        let text = """
            {"changes":[{"id":"a/b","kind":"a","name":"b","change":"teleport","fields":[]}],
            "unchanged":0,"failures":[],"exitCode":2}
            """
        #expect(try JSONText.decode(PlanDocument.self, Array(text.utf8)).plan.changes.isEmpty)
    }

    @Test("The help names every verb")
    func help() {
        let text = SDAgent.helpMessage(columns: 100)
        for verb in ["validate", "plan", "apply", "status", "run"] { #expect(text.contains("\n  \(verb)")) }
        let plan = PlanCommand.helpMessage(columns: 80)
        #expect(plan.contains("Exits with 0 where there is nothing to do, with 2"))
        #expect(plan.contains("\n+ create    ~ update    ± replace    - delete\n"))
        #expect(plan.contains("-o, --output <form>") && plan.contains("How to print the result. (values: text, json;"))
    }

    @Test("A first word that is no verb is told with the one that was meant")
    func verbs() {
        for word in ["plan", "run", "help", "--help", "--version", "-x"] {
            #expect(SDAgent.remark(onVerb: word) == nil)
        }
        #expect(
            SDAgent.remark(onVerb: "plna")?.hasPrefix("sdagent: there is no verb 'plna': did you mean 'plan'?\n")
                == true)
        #expect(
            SDAgent.remark(onVerb: "x")?.contains("one of: apply, denied, doctor, plan, run, status, validate") == true)
    }
}
