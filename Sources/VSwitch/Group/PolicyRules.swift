internal import Netlink

/// How one allowance of a group becomes rules of nftables: one for each way in which a packet can meet it.
///
/// A rule ends in `accept`, which ends the base chain: the other direction has a base chain of its own.
enum PolicyRules {
    /// The rules of one direction of a group, in the order of the manifest.
    static func compile(_ group: GroupSpec, _ direction: Direction) -> [NFRule] {
        if let closure = group.closure { return [NFRule([.counter], comment: closure)] }
        return group.rules(direction).enumerated().flatMap { index, rule in
            let comment = "\(index + 1): \(rule.words(direction))"
            return conditions(rule, direction).map {
                NFRule(
                    $0 + [.counter, .verdict(.accept)],
                    comment: String(decoding: comment.utf8.prefix(120), as: UTF8.self))
            }
        }
    }

    private static func conditions(_ rule: GroupRule, _ direction: Direction) -> [[NFExpression]] {
        let ends = rule.peers.isEmpty ? [End(isIPv4: nil, conditions: [])] : rule.peers.flatMap { end($0, direction) }
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

    private static func end(_ peer: Peer, _ direction: Direction) -> [End] {
        switch peer {
        case .network(let network):
            [End(isIPv4: network.isIPv4, conditions: Header.peer(in: network, direction))]
        case .group(let name):
            [true, false].map { isIPv4 in
                let set = PolicyNames.members(of: name, isIPv4: isIPv4)
                return End(isIPv4: isIPv4, conditions: Header.peer(inSet: set, isIPv4: isIPv4, direction))
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
        let hash = String(StableHash(groups.joined(separator: "/")).value, radix: 32)
        return "policy-\(hash)-\(direction)"
    }

    static func members(of group: String, isIPv4: Bool) -> String { "members-\(group)-\(isIPv4 ? 4 : 6)" }

    static func addresses(of set: String, isIPv4: Bool) -> String { "addresses-\(set)-\(isIPv4 ? 4 : 6)" }
}

/// Conditions on a packet's headers, for chains of the bridge family.
enum Header {
    /// `meta protocol`: a bridge sees frames of every kind.
    static func family(isIPv4: Bool) -> [NFExpression] {
        [.meta(.etherType, into: 0), .compare(0, .equal, isIPv4 ? [0x08, 0x00] : [0x86, 0xdd])]
    }

    static func transport(_ number: IPProtocol) -> [NFExpression] {
        [.meta(.layer4Protocol, into: 0), .compare(0, .equal, [number.number])]
    }

    static func source(_ range: PortRange) -> [NFExpression] { port(0, range) }

    static func destination(_ range: PortRange) -> [NFExpression] { port(2, range) }

    /// Compared in the order of the network, in which bytes order as numbers do.
    private static func port(_ offset: UInt32, _ range: PortRange) -> [NFExpression] {
        let load = NFExpression.payload(.transport, offset: offset, length: 2, into: 0)
        guard range.first != range.last else { return [load, .compare(0, .equal, bytes(range.first))] }
        return [
            load, .compare(0, .greaterOrEqual, bytes(range.first)), .compare(0, .lessOrEqual, bytes(range.last)),
        ]
    }

    private static func bytes(_ port: UInt16) -> [UInt8] { [UInt8(port >> 8), UInt8(truncatingIfNeeded: port)] }

    static func message(_ message: ICMPMessage, isIPv4: Bool) -> [NFExpression] {
        let type: [NFExpression] =
            transport(isIPv4 ? .icmp : .icmpv6) + [
                .payload(.transport, offset: 0, length: 1, into: 0), .compare(0, .equal, [message.type]),
            ]
        guard let code = message.code else { return type }
        return type + [.payload(.transport, offset: 1, length: 1, into: 0), .compare(0, .equal, [code])]
    }

    /// The other end's address in a network: the source of what comes in, the destination of what goes out.
    static func peer(in network: IPPrefix, _ direction: Direction) -> [NFExpression] {
        var expressions = family(isIPv4: network.isIPv4)
        guard network.length > 0 else { return expressions }
        expressions.append(address(isIPv4: network.isIPv4, direction))
        if network.length < network.address.bitWidth {
            switch network {
            case .v4(let prefix): expressions.append(.mask(0, prefix.mask.bytes))
            case .v6(let prefix): expressions.append(.mask(0, prefix.mask.bytes))
            }
        }
        return expressions + [.compare(0, .equal, network.address.bytes)]
    }

    static func peer(inSet set: String, isIPv4: Bool, _ direction: Direction) -> [NFExpression] {
        family(isIPv4: isIPv4) + [address(isIPv4: isIPv4, direction), .lookup(0, set: set, isInverted: false)]
    }

    /// RFC 791: source at 12, destination at 16. RFC 8200: 8 and 24.
    private static func address(isIPv4: Bool, _ direction: Direction) -> NFExpression {
        let isSource = direction == .ingress
        let offset: UInt32 = isIPv4 ? (isSource ? 12 : 16) : (isSource ? 8 : 24)
        return .payload(.network, offset: offset, length: isIPv4 ? 4 : 16, into: 0)
    }
}
