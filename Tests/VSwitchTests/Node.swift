import Netlink
import Reconcile
import Syscall
import TestSupport
import VSwitch

/// The kinds of this part at work in one namespace.
struct Node {
    let space: TestNamespace
    let reconciler: Reconciler

    init(_ space: TestNamespace) {
        self.space = space
        let links = LinkListing(in: .namespace(space.name))
        reconciler = Reconciler(kinds: [
            SwitchKind(links: links), UplinkKind(links: links), OverlayKind(links: links),
            VLANPortKind(links: links), NICKind(links: links), RateKind(links: links),
        ])
    }

    init(_ space: TestNamespace, _ reconciler: Reconciler) {
        self.space = space
        self.reconciler = reconciler
    }

    /// Runs the body on a node of its own.
    static func with<Value>(_ body: (Node) async throws -> Value) async throws -> Value {
        try await TestNamespace.with { try await body(Node($0)) }
    }

    func links() throws -> [Link] {
        var socket = try NetworkLocation.namespace(space.name).socket(.route)
        return try socket.links()
    }

    /// The names of all links, sorted.
    func names() throws -> [String] { try links().map(\.name.description).sorted() }

    func link(_ name: String) throws -> Link? { try links().first { $0.name.description == name } }

    /// A link without its carrier, which the kernel follows in its own time, and without its queueing discipline, which
    /// it gives a link that has none when that first comes up.
    func steady(_ name: String) throws -> Link? {
        var link = try link(name)
        link?.isRunning = false
        link?.discipline = nil
        return link
    }

    /// What a plan says, one line for each resource that is not as asked.
    func plan(_ desired: Desired) async -> [String] {
        let plan = await reconciler.plan(desired)
        return plan.changes.filter { $0.change != .none }.map { "\($0.id) \($0.change.word)" }
            + plan.failures.map { "\($0.kind) failed: \($0.reason)" }
    }

    /// Applies, and returns what is left to be done or went wrong, in words.
    func apply(_ desired: Desired) async -> [String] {
        let report = await reconciler.apply(desired)
        return report.statuses.filter { $0.state != .converged }.map { "\($0.id) \($0.state): \($0.detail)" }
    }
}

extension Desired {
    mutating func add(_ spec: SwitchSpec) { add(SwitchKind.self, spec.name, spec) }

    mutating func add(_ spec: NICSpec) { add(NICKind.self, spec.resourceName, spec) }

    mutating func add(_ spec: RateSpec, for nic: NICSpec) {
        add(RateKind.self, nic.resourceName, spec, references: [Reference(NICKind.id(nic.resourceName))])
    }
}
