internal import Reconcile

/// What a change means for the link of its resource.
extension Change {
    /// A new link comes.
    var makesLink: Bool {
        switch self {
        case .create, .replace: true
        case .none, .update, .delete, .orphan, .degraded, .waiting, .conflict, .unsupported: false
        }
    }

    /// The link that is there goes.
    var removesLink: Bool {
        switch self {
        case .replace, .delete: true
        case .none, .create, .update, .orphan, .degraded, .waiting, .conflict, .unsupported: false
        }
    }

    /// The link that is there is changed.
    var keepsLink: Bool { if case .update = self { true } else { false } }
}
