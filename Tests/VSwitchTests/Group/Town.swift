import Capabilities
import Manifest
import Netlink
import Reconcile
import Rules
import TestSupport
import VRouter
@testable import VSwitch

/// A node with one switch and a namespace for each of its NICs, in which a server answers on some ports.
struct Town: Sendable {
    /// Who asks whom, what, and whether there is to be an answer.
    struct Question: Sendable, CustomStringConvertible {
        let from: String
        let how: String
        let to: String
        let port: UInt16
        var source: UInt16?
        let isAnswered: Bool

        var line: String { "\(how) \(to) \(port)" + (source.map { " \($0)" } ?? "") }
        var description: String { "\(from) \(how) \(to) \(port)" }
    }

    static let ports: [UInt16] = [22, 53, 54, 80, 443]

    /// What a router leads to w on port 80, and on port 443.
    static let forwards = """
        [
          { listen: 203.0.113.1, protocol: tcp, port: 8080, to: 10.0.0.1:80 },
          { listen: "fd20::1", protocol: tcp, port: 8080, to: "[fd00::1]:80" },
          { listen: 203.0.113.1, protocol: tcp, port: 8443, to: 10.0.0.1:443 },
          { listen: "fd20::1", protocol: tcp, port: 8443, to: "[fd00::1]:443" } ]
        """.split(separator: "\n").joined()

    let node: TestNamespace
    let guests: [String: TestNamespace]
    let reconciler: Reconciler
    let ledger: NFLedger
    /// What kernel a manifest is read for, as far as VLANs go.
    var capabilities = Capabilities.current

    /// A town with these guests, each with servers that are up; torn down when the body ends.
    static func with(_ names: [String], _ body: @Sendable (Town) async throws -> Void) async throws {
        try await TestNamespace.with { node in
            try await TemporaryDirectory.with { directory in
                try await build(names[...], [:], node, directory, body)
            }
        }
    }

    private static func build(
        _ names: ArraySlice<String>, _ guests: [String: TestNamespace], _ node: TestNamespace,
        _ directory: TemporaryDirectory, _ body: @Sendable (Town) async throws -> Void
    ) async throws {
        guard let name = names.first else { return try await body(Town(node: node, guests: guests)) }
        try await TestNamespace.with { guest in
            let log = directory.file("\(name).log")
            let words = guest.inside(["python3", script, "serve"] + ports.map(String.init))
            try await RunningCommand.with(words, log: log) { _ in
                let isReady = try await eventually(within: 20) { try directory.read("\(name).log").contains("ready") }
                guard isReady else { throw Absence(log: try directory.read("\(name).log")) }
                var guests = guests
                guests[name] = guest
                try await build(names.dropFirst(), guests, node, directory, body)
            }
        }
    }

    /// A guest's servers did not come up.
    struct Absence: Error {
        let log: String
    }

    static let script = #filePath.split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/peer.py"

    /// - Parameter tracking: whose conntrack is told of flows that end; nil for the node's.
    init(node: TestNamespace, guests: [String: TestNamespace], tracking: NetworkLocation? = nil) {
        self.node = node
        self.guests = guests
        let links = LinkListing(in: .namespace(node.name))
        ledger = NFLedger(in: links.location, tenure: .passing)
        reconciler = Reconciler(kinds: [
            SwitchKind(links: links), UplinkKind(links: links), VLANPortKind(links: links), GroupKind(ledger),
            AddressSetKind(), StateKind(ledger), RoutedKind(ledger),
            GuardKind(links: links, ledger, tracking: tracking ?? links.location), NICKind(links: links),
            NATKind(ledger), RouterKind(in: links.location),
        ])
    }

    /// Applies a manifest in which `@name` stands for the namespace of a guest; returns what is not as asked.
    func apply(_ text: String) async throws -> [String] {
        let (desired, mistakes) = load(text)
        guard let desired else { return mistakes }
        let report = await reconciler.apply(desired)
        return report.statuses.filter { $0.state != .converged }.map { "\($0.id) \($0.state): \($0.detail)" }
    }

    func load(_ text: String) -> (Desired?, [String]) {
        let text = guests.reduce(text) { $0.replacing("@\($1.key) ", with: "\($1.value.name) ") }
        let links = LinkListing()
        let known = capabilities
        let loader = DesiredLoader(
            sections: [
                SwitchKind.section, AddressSetKind.section, GroupKind.section, RouterSection.section, Self.machines,
            ],
            derivations: [
                VLANs.derivation { known },
                NICKind.resolution(subnets: RouterKind.subnets), GuardKind.derivation, RoutedKind.derivation,
                StateKind.derivation(joined: RouterKind.joinedSwitches),
                RouterKind.resolution { $0.specs(of: SwitchKind.self).mapValues(\.mac) }, NATKind.derivation,
            ],
            kinds: [
                SwitchKind(links: links), UplinkKind(links: links), VLANPortKind(links: links), AddressSetKind(),
                GroupKind(ledger), GuardKind(links: links), NICKind(links: links),
                StateKind(ledger), RoutedKind(ledger), NATKind(), RouterKind(),
            ])
        let diagnostics = Diagnostics()
        let desired = loader.load([Source(file: "node.yaml", directory: "/", text: text)], diagnostics)
        return (desired, diagnostics.all.map(\.message))
    }

    private static let machines = Section("vms") { entry, desired, diagnostics in
        var fields = Fields(entry.entry.value, of: "vm '\(entry.name)'", diagnostics)
        _ = NICKind.readNICs(of: entry.name, &fields, into: &desired)
        fields.finish()
    }

    /// The questions that were not answered as they should be; all guests ask at once.
    func surprises(_ questions: [Question]) async throws -> [String] {
        try await withThrowingTaskGroup(of: [String].self) { group in
            for (name, asked) in Dictionary(grouping: questions, by: \.from) {
                guard let guest = guests[name] else { continue }
                group.addTask {
                    let lines = asked.map(\.line).joined(separator: "\n")
                    let words = guest.inside([
                        "sh", "-c", "printf '%s\\n' \"$1\" | python3 \"$0\" ask", Self.script, lines,
                    ])
                    let answers = try await output(of: words).split(separator: "\n").map(String.init)
                    let wanted = asked.map { "\($0.line) \($0.isAnswered ? "yes" : "no")" }
                    guard answers.count == wanted.count else { return ["\(name): \(answers)"] }
                    return zip(wanted, answers).filter { $0 != $1 }.map { "\(name): \($1), and not \($0)" }
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }.sorted()
        }
    }
}
