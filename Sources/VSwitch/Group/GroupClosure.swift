internal import Netlink

/// A group whose rules the kernel has refused: it allows nothing, so that all others have theirs.
///
/// It is told by the comment of the one rule that its chains then have, which decides nothing: so whoever looks at the
/// table knows of it. It holds for the group as it was; one that has changed is tried again, and so is every group when
/// anything else of the table changes.
enum GroupClosure {
    private static let word = "closed"

    /// The comment for a group that the kernel has refused for this reason.
    static func comment(_ group: GroupSpec, _ policy: Policy, _ error: NetlinkError) -> String {
        let start = "\(word) \(fingerprint(group, policy)): "
        let reason = Array(error.description.utf8)
        // The end says what was wrong, the beginning where.
        let room = 120 - start.utf8.count
        guard reason.count > room else { return start + error.description }
        return start + "…" + String(decoding: reason.suffix(room - 3), as: UTF8.self)
    }

    /// The comment that the chains of a group have, where it is closed in a table that was seen.
    static func comment(of group: String, in seen: NFTable?) -> String? {
        guard let rules = seen?.chains[PolicyNames.chain(of: group, .ingress)]?.rules, rules.count == 1 else {
            return nil
        }
        return rules[0].comment.hasPrefix(word + " ") && rules[0].expressions == [.counter] ? rules[0].comment : nil
    }

    /// The kernel's reason in such a comment.
    static func reason(in comment: String) -> String {
        comment.split(separator: ": ", maxSplits: 1).last.map(String.init) ?? comment
    }

    static func isOf(_ group: GroupSpec, _ policy: Policy, _ comment: String) -> Bool {
        comment.hasPrefix("\(word) \(fingerprint(group, policy)): ")
    }

    /// All that its rules are made of.
    private static func fingerprint(_ group: GroupSpec, _ policy: Policy) -> String {
        var text = ""
        for direction in Direction.allCases {
            for rule in group.rules(direction) {
                text += "\(direction) \(rule.words(direction))\n"
                for case .set(let name) in rule.peers {
                    text += policy.sets[name].map { "\($0.members.map(\.description))\n" } ?? ""
                }
            }
        }
        return String(StableHash(text).value, radix: 32)
    }
}

extension Policy {
    /// The same with these groups closed; each with the comment that says why.
    func closing(_ comments: [String: String]) -> Policy {
        var policy = self
        for (name, comment) in comments {
            policy.groups[name]?.ingress = []
            policy.groups[name]?.egress = []
            policy.groups[name]?.closure = comment
        }
        return policy
    }

    /// The same with those groups closed that are so in a table that was seen, for rules that they still have.
    func closing(as seen: NFTable?) -> Policy {
        closing(
            groups.compactMapValues { group in
                GroupClosure.comment(of: group.name, in: seen).flatMap {
                    GroupClosure.isOf(group, self, $0) ? $0 : nil
                }
            })
    }

    /// Whether all groups have the rules that the manifest gives them.
    var isWhole: Bool { !groups.values.contains { $0.closure != nil } }
}
