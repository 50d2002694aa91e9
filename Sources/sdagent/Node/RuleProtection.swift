import Netlink
import Rules

/// What keeps the nftables tables of ours from other programs: from a flush, a change, a deletion.
enum RuleProtection: String, Codable, Sendable {
    /// A daemon owns them: the kernel refuses everybody else (Linux 6.9).
    case owned
    /// A daemon sees what others change, and restores it.
    case watched
    /// Nobody: what others change stays changed.
    case unprotected
    /// They could not be looked at.
    case unknown
}

/// The protection of all tables of ours, as JSON.
struct RulesDocument: Codable, Hashable, Sendable {
    /// A word of `RuleProtection`.
    let protection: String
    /// What it means, and what to do: a sentence.
    let detail: String

    init(_ protection: RuleProtection, _ detail: String) {
        self.protection = protection.rawValue
        self.detail = detail
    }

    /// Looks at the tables of all kinds that have one.
    ///
    /// - Parameter hasDaemon: whether a daemon runs in this network namespace.
    /// - Returns: nil where there is no table of ours.
    static func look(_ kinds: Kinds, hasDaemon: Bool) -> RulesDocument? {
        do throws(NFError) {
            var sights: [NFOwnedTable.Sight] = []
            for case let kind as any TableKind in kinds.all {
                if let sight = try kind.owned.look(), sight.isOurs { sights.append(sight) }
            }
            return RulesDocument(sights.map(\.protection), hasDaemon: hasDaemon)
        } catch {
            return RulesDocument(.unknown, "the tables could not be looked at: \(error)")
        }
    }

    init?(_ protections: [NFProtection], hasDaemon: Bool) {
        guard !protections.isEmpty else { return nil }
        let lacks = protections.compactMap { protection in
            if case .none(let reason) = protection { reason } else { nil }
        }
        switch (lacks.first, hasDaemon) {
        case (nil, _):
            self.init(.owned, "owned by the daemon: nobody else can change, delete or flush them")
        case (let reason?, true):
            self.init(.watched, "watched by the daemon: what others change is restored within a second (\(reason))")
        case (_?, false):
            self.init(
                .unprotected, "no daemon runs: what others change or flush stays so until `sdagent run` or an apply")
        }
    }
}
