internal import Glibc
internal import Netlink
internal import Reconcile
internal import SystemPackage

/// Finds the groups because of whose rules the kernel refuses a table: by having it check tables in which some are
/// closed, which changes nothing. One among many takes as many checks as the number of groups has bits.
struct Culprits {
    private let draft: Draft
    private let policy: Policy
    /// The groups that are closed in the next check, with the comments of their chains.
    private var closed: [String: String] = [:]
    private var found: [String: String] = [:]

    /// The culprits, with the comments that say why; nil where the table is refused whatever the groups say.
    static func found(in draft: Draft, _ policy: Policy) throws(NFError) -> [String: String]? {
        let named = Set(draft.desired.specs(of: NICKind.self).values.flatMap(\.groups))
        let groups = policy.groups.values.filter { named.contains($0.name) }.sorted { $0.name < $1.name }
        var search = Culprits(draft: draft, policy: policy)
        for group in groups { search.closed[group.name] = "not yet known" }
        guard !groups.isEmpty, try search.refusal() == nil else { return nil }
        try search.open(groups[...])
        return search.found.isEmpty ? nil : search.found
    }

    private init(draft: Draft, policy: Policy) {
        self.draft = draft
        self.policy = policy
    }

    /// Opens these groups, but for those that the kernel refuses.
    private mutating func open(_ groups: ArraySlice<GroupSpec>) throws(NFError) {
        for group in groups { closed[group.name] = nil }
        guard let refusal = try refusal() else { return }
        guard groups.count == 1, let group = groups.first else {
            for group in groups { closed[group.name] = "not yet known" }
            let middle = groups.startIndex + groups.count / 2
            try open(groups[..<middle])
            try open(groups[middle...])
            return
        }
        let comment = GroupClosure.comment(group, policy, refusal)
        closed[group.name] = comment
        found[group.name] = comment
    }

    private func refusal() throws(NFError) -> NetlinkError? {
        switch try draft.refusal(under: policy.closing(closed)) {
        case nil: return nil
        case let refusal?:
            guard refusal.isOfRules, case .netlink(let error) = refusal else { throw refusal }
            return error
        }
    }
}

extension NFError {
    /// Whether it may be about what was asked, and not about the moment or who asked.
    var isOfRules: Bool {
        guard case .netlink(let error) = self, case .refused(let errno, _, _) = error.cause else { return false }
        return ![ENOMEM, ENOBUFS, EAGAIN, EINTR, EPERM, EMFILE, ENFILE].contains(errno.rawValue)
    }
}
