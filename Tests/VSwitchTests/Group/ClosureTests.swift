import Manifest
import Netlink
import Reconcile
import TestSupport
import Testing
@testable import VSwitch

/// One group whose rules the kernel refuses, among others.
@Suite("Refused groups", .enabled(if: TestNamespace.isPossible))
struct ClosureTests {
    private static func manifest(admin port: Int) -> String {
        """
        switches: { blue: {} }
        groups:
          web: { ingress: { protocol: tcp, ports: 80 }, egress: { protocol: any } }
          admin: { ingress: { protocol: tcp, ports: \(port) } }
          both: { ingress: { protocol: udp, ports: 53 } }
        vms:
          w: { nics: [ { switch: blue, address: [10.0.0.1/24, "fd00::1/64"], groups: web, namespace: @w } ] }
          a: { nics: [ { switch: blue, address: [10.0.0.2/24, "fd00::2/64"], groups: admin, namespace: @a } ] }
          b: { nics: [ { switch: blue, address: [10.0.0.4/24, "fd00::4/64"], groups: [both, web], namespace: @b } ] }
          v: { nics: [ { switch: blue, address: [10.0.0.3/24, "fd00::3/64"], namespace: @v } ] }
        """
    }

    /// The manifest with a rule in web that looks into a set which is not there: no manifest can say so.
    private static func broken(_ town: Town, admin port: Int) throws -> Desired {
        var desired = try #require(town.load(manifest(admin: port)).0)
        var web = try #require(desired.specs(of: GroupKind.self)["web"])
        web.ingress.append(GroupRule(.any, peers: [.set("nowhere")]))
        desired.add(GroupKind.self, "web", web)
        derive(&desired)
        return desired
    }

    /// Compiles the tables anew, of groups that have changed.
    private static func derive(_ desired: inout Desired) {
        let nics = desired.specs(of: NICKind.self)
        let id = GuardKind.id(GuardKind.resourceName)
        let references = desired.references(of: id)
        desired.add(GuardKind.self, id.name, GuardKind.compile(nics, desired), references: references)
        desired.add(RoutedKind.self, RoutedKind.resourceName, RoutedKind.compile(nics, desired))
    }

    private static func ask(_ from: String, _ how: String, _ to: Int, _ port: UInt16, _ isAnswered: Bool)
        -> [Town.Question]
    {
        ["10.0.0.\(to)", "fd00::\(to)"].map {
            Town.Question(from: from, how: how, to: $0, port: port, isAnswered: isAnswered)
        }
    }

    private static func states(_ report: ApplyReport) -> [String] {
        report.statuses.filter { $0.state != .converged }.map { "\($0.id) \($0.state): \($0.detail)" }
    }

    @Test func `one group is closed and named, and all others have their rules`() async throws {
        try await Town.with(["w", "a", "b", "v"]) { town in
            town.expect(try await town.apply(Self.manifest(admin: 443)))
            town.expect(
                try await town.surprises(Self.ask("v", "tcp", 1, 80, true) + Self.ask("v", "tcp", 2, 443, true)))
            let lines = ["10.0.0.1", "fd00::1"].map { (guest: "v", line: "tcp \($0) 80") }
            try await town.talking(lines + [(guest: "v", line: "udp 10.0.0.4 53")]) { counts in
                let areTalking = try await eventually(within: 20) { try counts().values.allSatisfy { $0 > 3 } }
                #expect(areTalking)
                let broken = try Self.broken(town, admin: 22)
                for _ in 0..<2 {
                    let left = Self.states(await town.reconciler.apply(broken))
                    #expect(left.count == 1, "\(left)")
                    #expect(left.allSatisfy { $0.hasPrefix("group/web unsupported: the kernel refuses its rules") })
                    #expect(left.allSatisfy { $0.contains("No such file or directory") }, "\(left)")
                }
                try await town.expect(counts) { $0.hasPrefix("v udp") }
            }
            let questions = [
                Self.ask("v", "tcp", 2, 22, true), Self.ask("v", "tcp", 2, 443, false),
                Self.ask("v", "tcp", 1, 80, false),
                Self.ask("w", "tcp", 3, 80, false), Self.ask("v", "udp", 4, 53, true),
                Self.ask("v", "tcp", 4, 80, false),
            ]
            town.expect(try await town.surprises(questions.flatMap(\.self)))
            // Another process sees it too.
            let other = Town(node: town.node, guests: town.guests)
            let plan = await other.reconciler.plan(try Self.broken(town, admin: 22))
            #expect(plan.changes.filter { $0.change != .none }.map(\.id.description) == ["group/web"])
            // It is tried again as soon as it is another, or anything else changes.
            let left = Self.states(await town.reconciler.apply(try Self.broken(town, admin: 443)))
            #expect(left.count == 1, "\(left)")
            town.expect(try await town.surprises(Self.ask("v", "tcp", 2, 443, true)))
            town.expect(try await town.apply(Self.manifest(admin: 443)))
            town.expect(try await town.surprises(Self.ask("v", "tcp", 1, 80, true) + Self.ask("v", "tcp", 4, 80, true)))
        }
    }

    @Test func `NICs of a refused group are made, and closed`() async throws {
        try await Town.with(["w", "v"]) { town in
            let text = Self.manifest(admin: 22).split(separator: "\n").filter {
                !$0.hasPrefix("  a:") && !$0.hasPrefix("  b:")
            }.joined(separator: "\n")
            var desired = try #require(town.load(text).0)
            desired.add(
                GroupKind.self, "web",
                GroupSpec(name: "web", egress: [GroupRule(.any, peers: [.set("nowhere")]), GroupRule(.any)]))
            Self.derive(&desired)
            let left = Self.states(await town.reconciler.apply(desired))
            #expect(left.count == 1 && left.allSatisfy { $0.hasPrefix("group/web unsupported") }, "\(left)")
            let questions = Self.ask("v", "icmp", 1, 0, false) + Self.ask("w", "tcp", 3, 80, false)
            town.expect(try await town.surprises(questions))
        }
    }
}
