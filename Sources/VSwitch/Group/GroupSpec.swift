public import Netlink

/// A security group as the manifest asks for it: what may come to the NICs that name it, and what they may send.
///
/// A NIC with groups is closed but for what one of them allows. Answers to what was allowed need no rule.
public struct GroupSpec: Hashable, Sendable {
    /// Its name in the manifest.
    public let name: String
    /// What may come to a member.
    public var ingress: [GroupRule]
    /// What a member may send.
    public var egress: [GroupRule]
    /// What becomes of flows that it no longer allows.
    public var liveFlows: LiveFlows
    /// Where the kernel refuses its rules, and it has none therefore: the comment that says so.
    var closure: String?

    /// A group with these rules.
    public init(
        name: String, ingress: [GroupRule] = [], egress: [GroupRule] = [], liveFlows: LiveFlows = .reevaluate
    ) {
        self.name = name
        self.ingress = ingress
        self.egress = egress
        self.liveFlows = liveFlows
    }

    /// The rules of one direction.
    func rules(_ direction: Direction) -> [GroupRule] {
        switch direction {
        case .ingress: ingress
        case .egress: egress
        }
    }
}

/// A packet's way as a NIC sees it.
public enum Direction: String, Hashable, Sendable, CaseIterable {
    /// To the NIC.
    case ingress
    /// From the NIC.
    case egress
}

/// One allowance: packets of this kind, from or to these peers.
public struct GroupRule: Hashable, Sendable {
    /// What the packets are.
    public var traffic: Traffic
    /// Who sends or receives them at the other end; empty for anyone.
    public var peers: [Peer]

    /// An allowance.
    public init(_ traffic: Traffic, peers: [Peer] = []) {
        self.traffic = traffic
        self.peers = peers
    }
}

/// What a rule says of a packet's protocol.
public enum Traffic: Hashable, Sendable {
    /// Everything, IPv4 and IPv6.
    case any
    /// All of one protocol, by its number (IANA, Protocol Numbers).
    case whole(IPProtocol)
    /// The destination ports of a protocol that has any: sorted, none touching another.
    case ports(IPProtocol, [PortRange])
    /// ICMP messages, of either version.
    case messages(isIPv4: Bool, [ICMPMessage])
}

/// The other end of a rule's packets.
public enum Peer: Hashable, Sendable {
    /// Whoever has an address in this network.
    case network(IPPrefix)
    /// The members of a group, by the addresses of their NICs.
    case group(String)
    /// The addresses of a set.
    case set(String)
}

/// A protocol above IP by its number.
public struct IPProtocol: Hashable, Sendable, LosslessStringConvertible {
    /// As the header has it.
    public let number: UInt8

    /// The protocol of a number.
    public init(number: UInt8) { self.number = number }

    static let tcp = IPProtocol(number: 6)
    static let udp = IPProtocol(number: 17)
    static let sctp = IPProtocol(number: 132)
    static let icmp = IPProtocol(number: 1)
    static let icmpv6 = IPProtocol(number: 58)

    static let words: [String: UInt8] = [
        "tcp": 6, "udp": 17, "sctp": 132, "icmp": 1, "icmpv6": 58, "gre": 47, "esp": 50, "ah": 51,
    ]

    /// A name such as `tcp`, or a number from 0 to 255.
    public init?(_ description: String) {
        if let number = Self.words[description] {
            self.number = number
        } else if let number = UInt8(description), String(number) == description {
            self.number = number
        } else {
            return nil
        }
    }

    /// Whether its header begins with a source and a destination port.
    var hasPorts: Bool { self == .tcp || self == .udp || self == .sctp }

    public var description: String { Self.words.first { $0.value == number }?.key ?? "\(number)" }
}

/// ICMP messages of one type, or of one type and code (IANA, ICMP and ICMPv6 Parameters).
public struct ICMPMessage: Hashable, Sendable, Comparable {
    /// The type.
    public let type: UInt8
    /// The code; nil for all.
    public let code: UInt8?

    /// Messages of a type, and of a code if one is given.
    public init(type: UInt8, code: UInt8? = nil) {
        self.type = type
        self.code = code
    }

    /// RFC 792.
    static let ipv4Words: [String: UInt8] = [
        "echo-reply": 0, "destination-unreachable": 3, "redirect": 5, "echo-request": 8, "time-exceeded": 11,
        "parameter-problem": 12, "timestamp-request": 13, "timestamp-reply": 14,
    ]
    /// RFC 4443 and RFC 4861.
    static let ipv6Words: [String: UInt8] = [
        "destination-unreachable": 1, "packet-too-big": 2, "time-exceeded": 3, "parameter-problem": 4,
        "echo-request": 128, "echo-reply": 129,
    ]

    /// `echo-request`, `8`, or `3/4` for a type and a code.
    init?(_ text: String, isIPv4: Bool) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard let first = parts.first, parts.count <= 2 else { return nil }
        guard let type = (isIPv4 ? Self.ipv4Words : Self.ipv6Words)[first] ?? Self.number(first) else { return nil }
        guard parts.count == 2 else {
            self.init(type: type)
            return
        }
        guard let code = Self.number(parts[1]) else { return nil }
        self.init(type: type, code: code)
    }

    private static func number(_ text: String) -> UInt8? {
        guard let number = UInt8(text), String(number) == text else { return nil }
        return number
    }

    func words(isIPv4: Bool) -> String {
        let name = (isIPv4 ? Self.ipv4Words : Self.ipv6Words).first { $0.value == type }?.key ?? "\(type)"
        return code.map { "\(name)/\($0)" } ?? name
    }

    public static func < (left: ICMPMessage, right: ICMPMessage) -> Bool {
        (left.type, left.code.map { Int($0) } ?? -1) < (right.type, right.code.map { Int($0) } ?? -1)
    }
}

// MARK: In words

extension Traffic: CustomStringConvertible {
    /// `tcp 80, 443`; as a person would say it.
    public var description: String {
        switch self {
        case .any: "any"
        case .whole(let number): "\(number)"
        case .ports(let number, let ports): "\(number) \(ports.map(\.description).joined(separator: ", "))"
        case .messages(let isIPv4, let messages):
            "\(isIPv4 ? "icmp" : "icmpv6") \(messages.map { $0.words(isIPv4: isIPv4) }.joined(separator: ", "))"
        }
    }
}

extension Peer: CustomStringConvertible {
    public var description: String {
        switch self {
        case .network(let prefix): "\(prefix)"
        case .group(let name): "group \(name)"
        case .set(let name): "set \(name)"
        }
    }
}

extension GroupRule {
    /// `tcp 22 from group admin`.
    func words(_ direction: Direction) -> String {
        guard !peers.isEmpty else { return "\(traffic)" }
        let ends = peers.map(\.description).joined(separator: ", ")
        return "\(traffic) \(direction == .ingress ? "from" : "to") \(ends)"
    }
}
