/// One class of resources: how it is looked at, compared and made so.
///
/// A kind receives runs of steps, not single ones, so that links share a netlink batch and a table is one transaction.
/// Kinds never call each other; the list of kinds, in the executable, gives their order: what others stand on first.
public protocol ResourceKind: Sendable {
    /// What the manifest asks of one resource.
    associatedtype Spec: Equatable & Sendable
    /// What the node shows of one resource.
    associatedtype Observation: Sendable

    /// The word before the slash in `ResourceID`.
    static var name: String { get }

    /// Kinds made later to which its own resources are adjusted: it is looked at again when they have been at work.
    static var adjustsTo: Set<String> { get }

    /// Looks at the node: everything that carries our ownership mark, and whatever stands where a resource of
    /// `desired` wants to be (so that `diff` can call it a conflict).
    ///
    /// - Returns: observations by resource name.
    func observe(_ desired: Desired) async throws -> [String: Observation]

    /// Compares; pure and total. At least one of `spec` and `observation` is there.
    func diff(name: String, spec: Spec?, observation: Observation?) -> Change

    /// Another resource of ours that stands where this one is to be. `diff` takes the place as free: the plan lets the
    /// holder go first, and makes it a conflict where the holder stays.
    func obstacle(_ observation: Observation) -> Obstacle?

    /// What performing `change` does to those who use the resource now, as far as the kind can know: a line for each
    /// that loses something, nothing where nobody notices. Pure.
    func disruption(_ change: Change, spec: Spec?, observation: Observation?) -> [String]

    /// What a reader of the status is to know of a resource that is as asked: by which of several ways. Pure.
    func remark(_ spec: Spec) -> String?

    /// The same specs, which take what is equal in those of another manifest from there: what shares its memory is held
    /// once, and compared at once.
    static func sharing(_ specs: [String: Spec], with others: [String: Spec]) -> [String: Spec]

    /// The steps that another spec takes on a node that was as the old one says, known without a look at all of it.
    ///
    /// Nothing of the kind is observed before or after, so a conformer answers only where it knows that nothing has
    /// changed since the last look.
    ///
    /// - Returns: nil where it takes a look to say.
    func steps(for changes: [SpecChange<Spec>]) throws -> [Step<Spec, Observation>]?

    /// Makes the node so. One outcome for each step, in the order of the steps.
    ///
    /// A run holds either deletions only (from the last kind to the first) or none (from the first kind to the last).
    /// What a run replaces goes before anything of it comes: one may take the other's name.
    func perform(_ steps: [Step<Spec, Observation>], desired: Desired) async -> [StepOutcome]
}

extension ResourceKind {
    public static var adjustsTo: Set<String> { [] }

    public func obstacle(_ observation: Observation) -> Obstacle? { nil }

    public func disruption(_ change: Change, spec: Spec?, observation: Observation?) -> [String] { [] }

    public func steps(for changes: [SpecChange<Spec>]) throws -> [Step<Spec, Observation>]? { nil }

    public func remark(_ spec: Spec) -> String? { nil }

    public static func sharing(_ specs: [String: Spec], with others: [String: Spec]) -> [String: Spec] {
        specs == others ? others : specs
    }

    public static func id(_ name: String) -> ResourceID { ResourceID(Self.name, name) }
}

/// A change about to be performed, with both of its sides.
public struct Step<Spec: Sendable, Observation: Sendable>: Sendable {
    public let name: String
    public let change: Change
    /// Nil for a deletion.
    public let spec: Spec?
    /// Nil where nothing of it was seen.
    public let observation: Observation?

    public init(name: String, change: Change, spec: Spec?, observation: Observation?) {
        self.name = name
        self.change = change
        self.spec = spec
        self.observation = observation
    }
}

/// What came of one step.
public enum StepOutcome: Hashable, Sendable {
    case done
    /// What was tried, what went wrong and what to do: one sentence or two, for a person.
    case failed(String)
    /// Somebody changed the node between the look and the deed (nftables: ERESTART). Look and plan again.
    case stale(String)

    /// Done, or failed in the words of what was thrown.
    public init<Failure: Error>(of deed: () throws(Failure) -> Void) {
        do throws(Failure) {
            try deed()
            self = .done
        } catch {
            self = .failed("\(error)")
        }
    }
}
