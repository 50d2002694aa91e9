internal import CNetlink

extension NFExpression {
    /// The expression as libnftnl has it; nil where memory ran out, or for a foreign one, which is never written.
    func make() -> OpaquePointer? {
        switch self {
        case .meta, .setMeta, .payload, .setPayload, .conntrack, .setConntrack: transfer()
        case .compare, .range, .bits, .immediate: arithmetic()
        case .lookup, .map, .verdictMap, .change, .count, .countMapped: reference()
        case .verdict, .reject, .counter, .limit, .log, .nat, .masquerade, .duplicate, .forward: statement()
        case .foreign: nil
        }
    }

    /// Between the packet and registers.
    private func transfer() -> OpaquePointer? {
        switch self {
        case .meta(let key, let register):
            ExpressionWriter("meta")
                .set(NFTNL_EXPR_META_KEY, key.rawValue).set(NFTNL_EXPR_META_DREG, register.number).made
        case .setMeta(let key, let register):
            ExpressionWriter("meta")
                .set(NFTNL_EXPR_META_KEY, key.rawValue).set(NFTNL_EXPR_META_SREG, register.number).made
        case .payload(let header, let offset, let length, let register):
            ExpressionWriter("payload").set(NFTNL_EXPR_PAYLOAD_DREG, register.number)
                .set(NFTNL_EXPR_PAYLOAD_BASE, header.rawValue)
                .set(NFTNL_EXPR_PAYLOAD_OFFSET, offset).set(NFTNL_EXPR_PAYLOAD_LEN, length).made
        case .setPayload(let header, let offset, let length, let register, let checksum):
            ExpressionWriter("payload").set(NFTNL_EXPR_PAYLOAD_SREG, register.number)
                .set(NFTNL_EXPR_PAYLOAD_BASE, header.rawValue)
                .set(NFTNL_EXPR_PAYLOAD_OFFSET, offset).set(NFTNL_EXPR_PAYLOAD_LEN, length)
                .set(
                    NFTNL_EXPR_PAYLOAD_CSUM_TYPE,
                    UInt32((checksum == nil ? NFT_PAYLOAD_CSUM_NONE : NFT_PAYLOAD_CSUM_INET).rawValue)
                )
                .set(NFTNL_EXPR_PAYLOAD_CSUM_OFFSET, checksum ?? 0).made
        case .conntrack(let key, let direction, let register):
            ExpressionWriter("ct").set(NFTNL_EXPR_CT_KEY, key.rawValue).set(NFTNL_EXPR_CT_DREG, register.number)
                .set(NFTNL_EXPR_CT_DIR, direction?.rawValue).made
        case .setConntrack(let key, let direction, let register):
            ExpressionWriter("ct").set(NFTNL_EXPR_CT_KEY, key.rawValue).set(NFTNL_EXPR_CT_SREG, register.number)
                .set(NFTNL_EXPR_CT_DIR, direction?.rawValue).made
        default: nil
        }
    }

    /// On registers.
    private func arithmetic() -> OpaquePointer? {
        switch self {
        case .compare(let register, let comparison, let bytes):
            ExpressionWriter("cmp").set(NFTNL_EXPR_CMP_SREG, register.number)
                .set(NFTNL_EXPR_CMP_OP, comparison.rawValue).set(NFTNL_EXPR_CMP_DATA, bytes).made
        case .range(let register, let first, let last, let isInverted):
            ExpressionWriter("range").set(NFTNL_EXPR_RANGE_SREG, register.number)
                .set(NFTNL_EXPR_RANGE_OP, UInt32((isInverted ? NFT_RANGE_NEQ : NFT_RANGE_EQ).rawValue))
                .set(NFTNL_EXPR_RANGE_FROM_DATA, first).set(NFTNL_EXPR_RANGE_TO_DATA, last).made
        case .bits(let register, let mask, let xor):
            ExpressionWriter("bitwise").set(NFTNL_EXPR_BITWISE_SREG, register.number)
                .set(NFTNL_EXPR_BITWISE_DREG, register.number)
                .set(NFTNL_EXPR_BITWISE_LEN, UInt32(clamping: mask.count))
                .set(NFTNL_EXPR_BITWISE_MASK, mask).set(NFTNL_EXPR_BITWISE_XOR, xor).made
        case .immediate(let register, let bytes):
            ExpressionWriter("immediate").set(NFTNL_EXPR_IMM_DREG, register.number)
                .set(NFTNL_EXPR_IMM_DATA, bytes).made
        default: nil
        }
    }

    /// To sets and counters of the table.
    private func reference() -> OpaquePointer? {
        switch self {
        case .lookup(let register, let set, let isInverted):
            ExpressionWriter("lookup").set(NFTNL_EXPR_LOOKUP_SREG, register.number)
                .set(NFTNL_EXPR_LOOKUP_FLAGS, isInverted ? UInt32(NFT_LOOKUP_F_INV.rawValue) : nil)
                .set(NFTNL_EXPR_LOOKUP_SET, text: set).made
        case .map(let register, let set, let into):
            ExpressionWriter("lookup").set(NFTNL_EXPR_LOOKUP_SREG, register.number)
                .set(NFTNL_EXPR_LOOKUP_DREG, into.number).set(NFTNL_EXPR_LOOKUP_SET, text: set).made
        case .verdictMap(let register, let set):
            ExpressionWriter("lookup").set(NFTNL_EXPR_LOOKUP_SREG, register.number)
                .set(NFTNL_EXPR_LOOKUP_DREG, UInt32(NFT_REG_VERDICT.rawValue))
                .set(NFTNL_EXPR_LOOKUP_SET, text: set).made
        case .change(let change):
            ExpressionWriter("dynset").set(NFTNL_EXPR_DYNSET_OP, change.operation.rawValue)
                .set(NFTNL_EXPR_DYNSET_SREG_KEY, change.key.number)
                .set(NFTNL_EXPR_DYNSET_SREG_DATA, change.data?.number)
                .set(NFTNL_EXPR_DYNSET_TIMEOUT, change.timeout.map { UInt64($0) * 1000 })
                .set(NFTNL_EXPR_DYNSET_SET_NAME, text: change.set)
                .add(NFTNL_EXPR_DYNSET_EXPRESSIONS, change.each?.expression).made
        case .count(let counter):
            ExpressionWriter("objref").set(NFTNL_EXPR_OBJREF_IMM_TYPE, UInt32(NFT_OBJECT_COUNTER))
                .set(NFTNL_EXPR_OBJREF_IMM_NAME, text: counter).made
        case .countMapped(let register, let set):
            ExpressionWriter("objref").set(NFTNL_EXPR_OBJREF_SET_SREG, register.number)
                .set(NFTNL_EXPR_OBJREF_SET_NAME, text: set).made
        default: nil
        }
    }

    /// What becomes of the packet, and who hears of it.
    private func statement() -> OpaquePointer? {
        switch self {
        case .verdict(let verdict):
            ExpressionWriter("immediate").set(NFTNL_EXPR_IMM_DREG, UInt32(NFT_REG_VERDICT.rawValue))
                .set(NFTNL_EXPR_IMM_VERDICT, UInt32(bitPattern: verdict.code))
                .set(NFTNL_EXPR_IMM_CHAIN, text: verdict.chain).made
        case .reject(let rejection):
            ExpressionWriter("reject").set(NFTNL_EXPR_REJECT_TYPE, rejection.type)
                .set(NFTNL_EXPR_REJECT_CODE, rejection.code).made
        case .counter: ExpressionWriter("counter").made
        case .limit(let limit):
            ExpressionWriter("limit").set(NFTNL_EXPR_LIMIT_RATE, limit.rate)
                .set(NFTNL_EXPR_LIMIT_UNIT, limit.unit.rawValue).set(NFTNL_EXPR_LIMIT_BURST, limit.burst)
                .set(NFTNL_EXPR_LIMIT_TYPE, limit.counted.rawValue)
                .set(NFTNL_EXPR_LIMIT_FLAGS, UInt32(limit.isOver ? NFT_LIMIT_F_INV.rawValue : 0)).made
        case .log(.group(let group, let prefix, let snapLength)):
            ExpressionWriter("log").set(NFTNL_EXPR_LOG_PREFIX, text: prefix.isEmpty ? nil : prefix)
                .set(NFTNL_EXPR_LOG_GROUP, group).set(NFTNL_EXPR_LOG_SNAPLEN, snapLength).made
        case .log(.kernel(let level, let prefix)):
            ExpressionWriter("log").set(NFTNL_EXPR_LOG_PREFIX, text: prefix.isEmpty ? nil : prefix)
                .set(NFTNL_EXPR_LOG_LEVEL, level.rawValue).made
        case .nat(let kind, let isIPv6, let address, let port):
            ExpressionWriter("nat").set(NFTNL_EXPR_NAT_TYPE, kind.rawValue)
                .set(NFTNL_EXPR_NAT_FAMILY, UInt32(isIPv6 ? NFPROTO_IPV6 : NFPROTO_IPV4))
                .set(NFTNL_EXPR_NAT_REG_ADDR_MIN, address.number)
                .set(NFTNL_EXPR_NAT_REG_PROTO_MIN, port?.number).made
        case .masquerade: ExpressionWriter("masq").made
        case .duplicate(let device): ExpressionWriter("dup").set(NFTNL_EXPR_DUP_SREG_DEV, device.number).made
        case .forward(let device): ExpressionWriter("fwd").set(NFTNL_EXPR_FWD_SREG_DEV, device.number).made
        default: nil
        }
    }
}

extension NFDynamicChange.Each {
    fileprivate var expression: NFExpression {
        switch self {
        case .limit(let limit): .limit(limit)
        case .count: .counter
        }
    }
}

extension NFRejection {
    fileprivate var type: UInt32 {
        switch self {
        case .tcpReset: UInt32(NFT_REJECT_TCP_RST.rawValue)
        case .icmp(code: _): UInt32(NFT_REJECT_ICMP_UNREACH.rawValue)
        case .unreachable(_): UInt32(NFT_REJECT_ICMPX_UNREACH.rawValue)
        }
    }

    fileprivate var code: UInt8? {
        switch self {
        case .tcpReset: nil
        case .icmp(code: let code): code
        case .unreachable(let reason): reason.rawValue
        }
    }
}

/// Sets the attributes of one expression of libnftnl; those that are nil are left out.
private struct ExpressionWriter {
    /// Nil from the moment that memory ran out.
    private var expression: OpaquePointer?

    init(_ name: String) { expression = nftnl_expr_alloc(name) }

    /// The whole expression, for a rule to own.
    var made: OpaquePointer? { expression }

    func set(_ attribute: Int, _ value: UInt8?) -> ExpressionWriter {
        if let value, let expression { nftnl_expr_set_u8(expression, UInt16(attribute), value) }
        return self
    }

    func set(_ attribute: Int, _ value: UInt16?) -> ExpressionWriter {
        if let value, let expression { nftnl_expr_set_u16(expression, UInt16(attribute), value) }
        return self
    }

    func set(_ attribute: Int, _ value: UInt32?) -> ExpressionWriter {
        if let value, let expression { nftnl_expr_set_u32(expression, UInt16(attribute), value) }
        return self
    }

    func set(_ attribute: Int, _ value: UInt64?) -> ExpressionWriter {
        if let value, let expression { nftnl_expr_set_u64(expression, UInt16(attribute), value) }
        return self
    }

    func set(_ attribute: Int, _ bytes: [UInt8]) -> ExpressionWriter {
        guard let expression else { return self }
        return checked(nftnl_expr_set(expression, UInt16(attribute), bytes, UInt32(bytes.count)) == 0)
    }

    func set(_ attribute: Int, text: String?) -> ExpressionWriter {
        guard let text, let expression else { return self }
        return checked(nftnl_expr_set_str(expression, UInt16(attribute), text) == 0)
    }

    /// Puts an expression into this one.
    func add(_ attribute: Int, _ inner: NFExpression?) -> ExpressionWriter {
        guard let inner, let expression else { return self }
        guard let made = inner.make() else { return checked(false) }
        nftnl_expr_add_expr(expression, UInt32(attribute), made)
        return self
    }

    private func checked(_ isDone: Bool) -> ExpressionWriter {
        guard !isDone, let expression else { return self }
        nftnl_expr_free(expression)
        var empty = self
        empty.expression = nil
        return empty
    }
}
