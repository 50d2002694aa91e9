/// One field that differs, in the words of the manifest.
public struct FieldChange: Hashable, Sendable, Codable {
    public let field: String
    /// The value that the node shows now; nil where there is none.
    public let from: String?
    /// The value that the manifest asks for; nil where it asks for none.
    public let to: String?

    public init(_ field: String, from: String? = nil, to: String? = nil) {
        self.field = field
        self.from = from
        self.to = to
    }
}

/// What lies between a resource's spec and its observation: the answer of a kind's `diff`.
public enum Change: Hashable, Sendable {
    /// They are equal.
    case none
    /// The node does not have it. The fields are what a reader wants to know before it is made.
    case create([FieldChange])
    /// The node has it, and it can be changed in place.
    case update([FieldChange])
    /// It can only be made anew: what hangs on it blinks.
    case replace(reason: String, [FieldChange])
    /// It is ours, and the manifest no longer names it.
    case delete
    /// It is ours and holds data, and the manifest no longer names it: reported, never removed by absence.
    case orphan(reason: String)
    /// It is as asked, and does not work as it should: an apply can do nothing about it, and what stands on it goes on.
    case degraded(reason: String)
    /// Only the running daemon can do it (`sdagent run`). It does not count as pending.
    case waiting(reason: String)
    /// Something that is not ours stands where it should be: never touched.
    case conflict(reason: String)
    /// This kernel, or this manifest on this node, cannot have it; the reason names what is missing.
    case unsupported(reason: String)

    /// Whether an apply would do something about it.
    public var isPending: Bool {
        switch self {
        case .create, .update, .replace, .delete: true
        case .none, .orphan, .degraded, .waiting, .conflict, .unsupported: false
        }
    }

    /// Whether the manifest's wish cannot be met as things stand.
    public var isRefusal: Bool {
        switch self {
        case .conflict, .unsupported: true
        case .none, .create, .update, .replace, .delete, .orphan, .degraded, .waiting: false
        }
    }

    /// The change in one word, as in plan, status and JSON.
    public var word: String {
        switch self {
        case .none: "none"
        case .create: "create"
        case .update: "update"
        case .replace: "replace"
        case .delete: "delete"
        case .orphan: "orphan"
        case .degraded: "degraded"
        case .waiting: "waiting"
        case .conflict: "conflict"
        case .unsupported: "unsupported"
        }
    }

    /// Why, for the changes that carry a reason.
    public var reason: String? {
        switch self {
        case .none, .create, .update, .delete: nil
        case .replace(let reason, _), .orphan(let reason), .degraded(let reason), .waiting(let reason),
            .conflict(let reason), .unsupported(let reason):
            reason
        }
    }

    /// The fields that a reader is shown.
    public var fields: [FieldChange] {
        switch self {
        case .create(let fields), .update(let fields), .replace(_, let fields): fields
        case .none, .delete, .orphan, .degraded, .waiting, .conflict, .unsupported: []
        }
    }
}
