internal import Netlink
internal import Rules

/// How one allowance of a group becomes rules of nftables: one for each way in which a packet can meet it.
///
/// A rule ends in `accept`, which ends the base chain: the other direction has a base chain of its own.
enum PolicyRules {
    /// The rules of one direction of a group, in the order of the manifest.
    ///
    /// - Parameter sets: the names of those that are there for rules to look into.
    static func compile(_ group: GroupSpec, _ direction: Direction, _ sets: Set<String>) -> [NFRule] {
        if let closure = group.closure { return [NFRule([.counter], comment: closure)] }
        return group.rules(direction).enumerated().flatMap { index, rule in
            let comment = "\(index + 1): \(rule.words(direction))"
            return conditions(rule, direction, sets).map {
                NFRule(
                    $0 + [.counter, .verdict(.accept)],
                    comment: String(decoding: comment.utf8.prefix(120), as: UTF8.self))
            }
        }
    }

    private static func conditions(
        _ rule: GroupRule, _ direction: Direction, _ sets: Set<String>
    ) -> [[NFExpression]] {
        let ends =
            rule.peers.isEmpty
            ? [End(isIPv4: nil, conditions: [])] : rule.peers.flatMap { end($0, direction, sets) }
        return ends.flatMap { end in
            kinds(rule.traffic).compactMap { kind in
                guard let isIPv4 = kind.isIPv4 else { return end.conditions + kind.conditions }
                guard let family = end.isIPv4 else { return Header.family(isIPv4: isIPv4) + kind.conditions }
                return family == isIPv4 ? end.conditions + kind.conditions : nil
            }
        }
    }

    /// Conditions that hold in one family only, or in both.
    private struct End {
        let isIPv4: Bool?
        let conditions: [NFExpression]
    }

    private static func kinds(_ traffic: Traffic) -> [End] {
        switch traffic {
        case .any: [End(isIPv4: nil, conditions: [])]
        case .whole(.icmp): [End(isIPv4: true, conditions: Header.transport(.icmp))]
        case .whole(.icmpv6): [End(isIPv4: false, conditions: Header.transport(.icmpv6))]
        case .whole(let number): [End(isIPv4: nil, conditions: Header.transport(number))]
        case .ports(let number, let ranges):
            ranges.map { End(isIPv4: nil, conditions: Header.transport(number) + Header.destination($0)) }
        case .messages(let isIPv4, let messages):
            messages.map { End(isIPv4: isIPv4, conditions: Header.message($0, isIPv4: isIPv4)) }
        }
    }

    private static func end(_ peer: Peer, _ direction: Direction, _ sets: Set<String>) -> [End] {
        switch peer {
        case .network(let network):
            [End(isIPv4: network.isIPv4, conditions: Header.peer(in: network, direction))]
        case .group(let name):
            [true, false].flatMap { isIPv4 in
                [PolicyNames.members, PolicyNames.networks].map { $0(name, isIPv4) }.filter(sets.contains).map {
                    End(isIPv4: isIPv4, conditions: Header.peer(inSet: $0, isIPv4: isIPv4, direction))
                }
            }
        case .set(let name):
            [true, false].map { isIPv4 in
                let set = PolicyNames.addresses(of: name, isIPv4: isIPv4)
                return End(isIPv4: isIPv4, conditions: Header.peer(inSet: set, isIPv4: isIPv4, direction))
            }
        }
    }
}

/// The names of chains and sets, as an administrator meets them in `nft list`.
enum PolicyNames {
    static func chain(of group: String, _ direction: Direction) -> String { "group-\(group)-\(direction)" }

    /// The chain of one combination of groups.
    static func chain(of groups: [String], _ direction: Direction) -> String {
        chain(ofPolicy: policy(of: groups), direction)
    }

    static func chain(ofPolicy policy: String, _ direction: Direction) -> String { "policy-\(policy)-\(direction)" }

    /// What tells the chains of one combination of groups from those of another.
    static func policy(of groups: [String]) -> String {
        String(StableHash(groups.joined(separator: "/")).value, radix: 32)
    }

    /// The same in the name of a chain, if it is one of a policy.
    static func policy(ofChain name: String) -> String? {
        let parts = name.split(separator: "-", omittingEmptySubsequences: false)
        return parts.count == 3 && parts[0] == "policy" ? String(parts[1]) : nil
    }

    static func members(of group: String, isIPv4: Bool) -> String { "members-\(group)-\(isIPv4 ? 4 : 6)" }

    static func networks(of group: String, isIPv4: Bool) -> String { "networks-\(group)-\(isIPv4 ? 4 : 6)" }

    static func addresses(of set: String, isIPv4: Bool) -> String { "addresses-\(set)-\(isIPv4 ? 4 : 6)" }
}

/// Conditions on a packet's headers, for chains of the bridge family.
enum Header {
    /// `meta protocol`: a bridge sees frames of every kind.
    static func family(isIPv4: Bool) -> [NFExpression] {
        [.meta(.etherType, into: 0), .compare(0, .equal, isIPv4 ? [0x08, 0x00] : [0x86, 0xdd])]
    }

    static func transport(_ number: IPProtocol) -> [NFExpression] { Match.layer4(number.number) }

    static func source(_ range: PortRange) -> [NFExpression] { port(.sourcePort, range) }

    static func destination(_ range: PortRange) -> [NFExpression] { port(.destinationPort, range) }

    /// Compared in the order of the network, in which bytes order as numbers do.
    private static func port(_ field: HeaderField, _ range: PortRange) -> [NFExpression] {
        guard range.first != range.last else { return field.equals(range.first) }
        return [
            field.load(into: 0), .compare(0, .greaterOrEqual, bytes(range.first)),
            .compare(0, .lessOrEqual, bytes(range.last)),
        ]
    }

    private static func bytes(_ port: UInt16) -> [UInt8] { [UInt8(port >> 8), UInt8(truncatingIfNeeded: port)] }

    static func message(_ message: ICMPMessage, isIPv4: Bool) -> [NFExpression] {
        let type = Match.icmp(isIPv4: isIPv4, type: message.type)
        guard let code = message.code else { return type }
        return type + HeaderField.icmpCode.equals([code])
    }

    /// The other end's address in a network: the source of what comes in, the destination of what goes out.
    static func peer(in network: IPPrefix, _ direction: Direction) -> [NFExpression] {
        let address =
            switch direction {
            case .ingress: Match.source(in: network)
            case .egress: Match.destination(in: network)
            }
        return family(isIPv4: network.isIPv4) + address
    }

    static func peer(inSet set: String, isIPv4: Bool, _ direction: Direction) -> [NFExpression] {
        let address =
            switch direction {
            case .ingress: HeaderField.source(isIPv4: isIPv4)
            case .egress: HeaderField.destination(isIPv4: isIPv4)
            }
        return family(isIPv4: isIPv4) + [address.load(into: 0), .lookup(0, set: set, isInverted: false)]
    }
}
