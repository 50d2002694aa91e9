internal import CNetlink

/// A routing policy rule (RTM_NEWRULE): which packets look into which routing table, in the order of priorities.
public struct RoutingRule: Hashable, Sendable {
    /// Which family's packets it is for.
    public var isIPv4: Bool
    /// Lower is asked first; the kernel's own rule for the main table has 32766.
    public var priority: UInt32
    /// Only packets that came in there; nil for all. By name: the interface need not be there yet.
    public var inputInterface: InterfaceName?
    /// Only packets from this network; nil for all.
    public var source: IPPrefix?
    /// The table it leads to.
    public var table: UInt32
    /// Routes of this prefix length or less are passed over: 0 passes over default routes.
    public var suppressedLength: UInt32?
    /// Who put it there: `OwnershipMark.protocolNumber` for ours (Linux 4.17).
    public var protocolNumber: UInt8
    /// It selects or does something that this type does not hold: never ours.
    public var isComplex = false

    /// A rule of ours.
    public init(
        isIPv4: Bool, priority: UInt32, inputInterface: InterfaceName? = nil, source: IPPrefix? = nil, table: UInt32,
        suppressedLength: UInt32? = nil
    ) {
        self.isIPv4 = isIPv4
        self.priority = priority
        self.inputInterface = inputInterface
        self.source = source?.network
        self.table = table
        self.suppressedLength = suppressedLength
        protocolNumber = OwnershipMark.protocolNumber
    }
}

extension RoutingRule {
    init?(_ message: Message) {
        guard message.type == UInt16(RTM_NEWRULE), let header = message.header(as: fib_rule_hdr.self) else {
            return nil
        }
        switch Int32(header.family) {
        case AF_INET: isIPv4 = true
        case AF_INET6: isIPv4 = false
        default: return nil
        }
        // The kernel leaves the priority out where it is 0.
        priority = 0
        table = UInt32(header.table)
        protocolNumber = 0
        let isPlain = header.action == UInt8(FR_ACT_TO_TBL) && header.dst_len == 0 && header.tos == 0
        isComplex = !isPlain || header.flags & UInt32(FIB_RULE_INVERT) != 0
        for attribute in message.attributes(after: fib_rule_hdr.self) {
            read(attribute, sourceLength: Int(header.src_len))
        }
    }

    private mutating func read(_ attribute: Attribute, sourceLength: Int) {
        switch attribute.type {
        case Int(FRA_PRIORITY): priority = attribute.number() ?? 0
        case Int(FRA_TABLE): table = attribute.number() ?? table
        case Int(FRA_PROTOCOL): protocolNumber = attribute.number() ?? 0
        case Int(FRA_IIFNAME): inputInterface = attribute.interfaceName
        case Int(FRA_SRC):
            source = attribute.address.flatMap { IPPrefix(address: $0, length: sourceLength) }
        case Int(FRA_SUPPRESS_PREFIXLEN):
            // All ones is the kernel's word for none.
            let length: UInt32? = attribute.number()
            suppressedLength = length == .max ? nil : length
        case Int(FRA_OIFNAME), Int(FRA_FWMARK), Int(FRA_TUN_ID), Int(FRA_L3MDEV), Int(FRA_UID_RANGE), Int(FRA_IP_PROTO),
            Int(FRA_SPORT_RANGE), Int(FRA_DPORT_RANGE), Int(FRA_GOTO):
            isComplex = true
        default: break
        }
    }
}

extension NetlinkSocket {
    /// Lists all routing policy rules of the socket's namespace, both families.
    public mutating func routingRules() throws(NetlinkError) -> [RoutingRule] {
        var request = MessageWriter(capacity: 64)
        request.message(UInt16(RTM_GETRULE), .dump, operation: "list routing rules") { $0.append(fib_rule_hdr()) }
        return try dump(request) { RoutingRule($0) }
    }
}

extension MessageWriter {
    /// Adds a rule; EEXIST if the same one exists.
    @discardableResult
    public mutating func addRoutingRule(_ rule: RoutingRule) -> Int {
        message(UInt16(RTM_NEWRULE), [.create, .exclusive], operation: "add routing rule") { $0.write(rule) }
    }

    /// Deletes a rule: all that it names must match; ENOENT if there is none.
    @discardableResult
    public mutating func removeRoutingRule(_ rule: RoutingRule) -> Int {
        message(UInt16(RTM_DELRULE), operation: "remove routing rule") { $0.write(rule) }
    }
}

extension AttributeWriter {
    fileprivate mutating func write(_ rule: RoutingRule) {
        var header = fib_rule_hdr()
        header.family = UInt8(rule.isIPv4 ? AF_INET : AF_INET6)
        header.src_len = UInt8(rule.source?.length ?? 0)
        header.table = rule.table < 256 ? UInt8(rule.table) : UInt8(RT_TABLE_UNSPEC.rawValue)
        header.action = UInt8(FR_ACT_TO_TBL)
        append(header)
        attribute(Int(FRA_PRIORITY), rule.priority)
        attribute(Int(FRA_TABLE), rule.table)
        attribute(Int(FRA_PROTOCOL), rule.protocolNumber)
        if let name = rule.inputInterface { attribute(Int(FRA_IIFNAME), name.description) }
        if let source = rule.source, source.length > 0 {
            attribute(Int(FRA_SRC), bytes: source.address.bytes)
        }
        if let length = rule.suppressedLength { attribute(Int(FRA_SUPPRESS_PREFIXLEN), length) }
    }
}
