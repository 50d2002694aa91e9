internal import CNetlink

extension NFExpression {
    /// The expression that libnftnl read from the kernel; `.foreign` for any that we do not make in this form.
    init(reading expression: OpaquePointer) {
        let reader = ExpressionReader(expression: expression)
        self = reader.read() ?? .foreign(reader.name)
    }
}

/// Reads the attributes of one expression of libnftnl.
private struct ExpressionReader {
    let expression: OpaquePointer

    var name: String {
        nftnl_expr_get_str(expression, UInt16(NFTNL_EXPR_NAME)).map { String(cString: $0) } ?? "unnamed"
    }

    func read() -> NFExpression? {
        switch name {
        case "meta": meta()
        case "payload": payload()
        case "cmp": compare()
        case "range": range()
        case "bitwise": bits()
        case "lookup": lookup()
        case "dynset": change()
        case "immediate": immediate()
        case "reject": reject()
        case "counter": .counter
        case "objref": count()
        case "limit": limit().map { .limit($0) }
        case "log": log()
        case "ct": conntrack()
        case "nat": nat()
        case "masq": has(NFTNL_EXPR_MASQ_REG_PROTO_MIN) || (number(NFTNL_EXPR_MASQ_FLAGS) ?? 0) != 0 ? nil : .masquerade
        case "dup":
            has(NFTNL_EXPR_DUP_SREG_ADDR) ? nil : register(NFTNL_EXPR_DUP_SREG_DEV).map { .duplicate(device: $0) }
        case "fwd":
            has(NFTNL_EXPR_FWD_SREG_ADDR) ? nil : register(NFTNL_EXPR_FWD_SREG_DEV).map { .forward(device: $0) }
        default: nil
        }
    }

    private func meta() -> NFExpression? {
        guard let key = number(NFTNL_EXPR_META_KEY).flatMap(NFMeta.init) else { return nil }
        if let from = register(NFTNL_EXPR_META_SREG) { return .setMeta(key, from: from) }
        return register(NFTNL_EXPR_META_DREG).map { .meta(key, into: $0) }
    }

    private func payload() -> NFExpression? {
        guard let header = number(NFTNL_EXPR_PAYLOAD_BASE).flatMap(NFPayloadBase.init),
            let offset = number(NFTNL_EXPR_PAYLOAD_OFFSET), let length = number(NFTNL_EXPR_PAYLOAD_LEN)
        else { return nil }
        guard let from = register(NFTNL_EXPR_PAYLOAD_SREG) else {
            return register(NFTNL_EXPR_PAYLOAD_DREG).map { .payload(header, offset: offset, length: length, into: $0) }
        }
        guard (number(NFTNL_EXPR_PAYLOAD_FLAGS) ?? 0) == 0 else { return nil }
        switch number(NFTNL_EXPR_PAYLOAD_CSUM_TYPE) ?? 0 {
        case UInt32(NFT_PAYLOAD_CSUM_NONE.rawValue):
            return .setPayload(header, offset: offset, length: length, from: from)
        case UInt32(NFT_PAYLOAD_CSUM_INET.rawValue):
            let checksum = number(NFTNL_EXPR_PAYLOAD_CSUM_OFFSET) ?? 0
            return .setPayload(header, offset: offset, length: length, from: from, checksum: checksum)
        default: return nil
        }
    }

    private func compare() -> NFExpression? {
        guard let register = register(NFTNL_EXPR_CMP_SREG),
            let comparison = number(NFTNL_EXPR_CMP_OP).flatMap(NFComparison.init),
            let bytes = bytes(NFTNL_EXPR_CMP_DATA)
        else { return nil }
        return .compare(register, comparison, bytes)
    }

    private func range() -> NFExpression? {
        guard let register = register(NFTNL_EXPR_RANGE_SREG), let operation = number(NFTNL_EXPR_RANGE_OP),
            let first = bytes(NFTNL_EXPR_RANGE_FROM_DATA), let last = bytes(NFTNL_EXPR_RANGE_TO_DATA)
        else { return nil }
        switch operation {
        case UInt32(NFT_RANGE_EQ.rawValue): return .range(register, from: first, through: last)
        case UInt32(NFT_RANGE_NEQ.rawValue): return .range(register, from: first, through: last, isInverted: true)
        default: return nil
        }
    }

    private func bits() -> NFExpression? {
        // NFT_BITWISE_BOOL is 0; shifts have no mask, and the operations of two registers (Linux 6.13) neither.
        guard (number(NFTNL_EXPR_BITWISE_OP) ?? 0) == 0, let from = register(NFTNL_EXPR_BITWISE_SREG),
            from == register(NFTNL_EXPR_BITWISE_DREG), let mask = bytes(NFTNL_EXPR_BITWISE_MASK),
            let xor = bytes(NFTNL_EXPR_BITWISE_XOR)
        else { return nil }
        return .bits(from, mask: mask, xor: xor)
    }

    private func lookup() -> NFExpression? {
        guard let from = register(NFTNL_EXPR_LOOKUP_SREG), let set = text(NFTNL_EXPR_LOOKUP_SET) else { return nil }
        let isInverted = (number(NFTNL_EXPR_LOOKUP_FLAGS) ?? 0) & UInt32(NFT_LOOKUP_F_INV.rawValue) != 0
        guard has(NFTNL_EXPR_LOOKUP_DREG) else { return .lookup(from, set: set, isInverted: isInverted) }
        if number(NFTNL_EXPR_LOOKUP_DREG) == UInt32(NFT_REG_VERDICT.rawValue) {
            return .verdictMap(from, set: set)
        }
        return register(NFTNL_EXPR_LOOKUP_DREG).map { .map(from, set: set, into: $0) }
    }

    private func change() -> NFExpression? {
        guard let operation = number(NFTNL_EXPR_DYNSET_OP).flatMap(NFDynamicChange.Operation.init),
            let key = register(NFTNL_EXPR_DYNSET_SREG_KEY), let set = text(NFTNL_EXPR_DYNSET_SET_NAME),
            (number(NFTNL_EXPR_DYNSET_FLAGS) ?? 0) & UInt32(NFT_DYNSET_F_INV.rawValue) == 0
        else { return nil }
        let milliseconds = wide(NFTNL_EXPR_DYNSET_TIMEOUT) ?? 0
        guard let timeout = UInt32(exactly: milliseconds / 1000), milliseconds % 1000 == 0 else { return nil }
        let inner = inner()
        guard inner.count <= 1 else { return nil }
        var each: NFDynamicChange.Each?
        switch inner.first {
        case nil: break
        case .limit(let limit): each = .limit(limit)
        case .counter: each = .count
        default: return nil
        }
        return .change(
            NFDynamicChange(
                operation, key, in: set, data: register(NFTNL_EXPR_DYNSET_SREG_DATA), timeout: timeout, each: each))
    }

    /// The expressions within this one.
    private func inner() -> [NFExpression] {
        var found: [NFExpression] = []
        withUnsafeMutablePointer(to: &found) { found in
            _ = nftnl_expr_expr_foreach(
                expression,
                { inner, found in
                    guard let inner, let found else { return 0 }
                    found.assumingMemoryBound(to: [NFExpression].self).pointee.append(NFExpression(reading: inner))
                    return 0
                }, found)
        }
        return found
    }

    private func immediate() -> NFExpression? {
        if number(NFTNL_EXPR_IMM_DREG) == UInt32(NFT_REG_VERDICT.rawValue) {
            guard let code = number(NFTNL_EXPR_IMM_VERDICT) else { return nil }
            return NFVerdict(code: Int32(bitPattern: code), chain: text(NFTNL_EXPR_IMM_CHAIN)).map { .verdict($0) }
        }
        guard let register = register(NFTNL_EXPR_IMM_DREG) else { return nil }
        return bytes(NFTNL_EXPR_IMM_DATA).map { .immediate(register, $0) }
    }

    private func reject() -> NFExpression? {
        guard let type = number(NFTNL_EXPR_REJECT_TYPE) else { return nil }
        let code = byte(NFTNL_EXPR_REJECT_CODE)
        switch type {
        case UInt32(NFT_REJECT_TCP_RST.rawValue): return .reject(.tcpReset)
        case UInt32(NFT_REJECT_ICMP_UNREACH.rawValue): return code.map { .reject(.icmp(code: $0)) }
        case UInt32(NFT_REJECT_ICMPX_UNREACH.rawValue):
            return code.flatMap(NFUnreachable.init).map { .reject(.unreachable($0)) }
        default: return nil
        }
    }

    private func count() -> NFExpression? {
        if let set = text(NFTNL_EXPR_OBJREF_SET_NAME) {
            return register(NFTNL_EXPR_OBJREF_SET_SREG).map { .countMapped($0, set: set) }
        }
        guard number(NFTNL_EXPR_OBJREF_IMM_TYPE) == UInt32(NFT_OBJECT_COUNTER) else { return nil }
        return text(NFTNL_EXPR_OBJREF_IMM_NAME).map { .count($0) }
    }

    private func limit() -> NFLimit? {
        guard let rate = wide(NFTNL_EXPR_LIMIT_RATE), let unit = wide(NFTNL_EXPR_LIMIT_UNIT).flatMap(NFLimit.Unit.init),
            let counted = NFLimit.Counted(rawValue: number(NFTNL_EXPR_LIMIT_TYPE) ?? 0)
        else { return nil }
        let isOver = (number(NFTNL_EXPR_LIMIT_FLAGS) ?? 0) & UInt32(NFT_LIMIT_F_INV.rawValue) != 0
        return NFLimit(rate, counted, per: unit, burst: number(NFTNL_EXPR_LIMIT_BURST) ?? 0, isOver: isOver)
    }

    private func log() -> NFExpression? {
        let prefix = text(NFTNL_EXPR_LOG_PREFIX) ?? ""
        if let group = short(NFTNL_EXPR_LOG_GROUP) {
            guard (short(NFTNL_EXPR_LOG_QTHRESHOLD) ?? 0) == 0 else { return nil }
            return .log(.group(group, prefix: prefix, snapLength: number(NFTNL_EXPR_LOG_SNAPLEN)))
        }
        guard (number(NFTNL_EXPR_LOG_FLAGS) ?? 0) == 0 else { return nil }
        return number(NFTNL_EXPR_LOG_LEVEL).flatMap(NFLogLevel.init).map { .log(.kernel($0, prefix: prefix)) }
    }

    private func conntrack() -> NFExpression? {
        guard let key = number(NFTNL_EXPR_CT_KEY).flatMap(NFConntrack.init) else { return nil }
        var direction: NFDirection?
        if let number = byte(NFTNL_EXPR_CT_DIR) {
            guard let known = NFDirection(rawValue: number) else { return nil }
            direction = known
        }
        if let from = register(NFTNL_EXPR_CT_SREG) { return .setConntrack(key, direction, from: from) }
        return register(NFTNL_EXPR_CT_DREG).map { .conntrack(key, direction, into: $0) }
    }

    private func nat() -> NFExpression? {
        guard let kind = number(NFTNL_EXPR_NAT_TYPE).flatMap(NFNAT.init),
            let family = number(NFTNL_EXPR_NAT_FAMILY), let address = register(NFTNL_EXPR_NAT_REG_ADDR_MIN)
        else { return nil }
        // The kernel itself sets NF_NAT_RANGE_MAP_IPS and NF_NAT_RANGE_PROTO_SPECIFIED, and repeats the first register
        // as the last one of the range.
        guard (number(NFTNL_EXPR_NAT_FLAGS) ?? 0) & ~3 == 0,
            !has(NFTNL_EXPR_NAT_REG_ADDR_MAX) || register(NFTNL_EXPR_NAT_REG_ADDR_MAX) == address
        else { return nil }
        let port = has(NFTNL_EXPR_NAT_REG_PROTO_MIN) ? register(NFTNL_EXPR_NAT_REG_PROTO_MIN) : nil
        return .nat(kind, isIPv6: family == UInt32(NFPROTO_IPV6), address: address, port: port)
    }

    private func has(_ attribute: Int) -> Bool { nftnl_expr_is_set(expression, UInt16(attribute)) }

    private func byte(_ attribute: Int) -> UInt8? {
        has(attribute) ? nftnl_expr_get_u8(expression, UInt16(attribute)) : nil
    }

    private func short(_ attribute: Int) -> UInt16? {
        has(attribute) ? nftnl_expr_get_u16(expression, UInt16(attribute)) : nil
    }

    private func number(_ attribute: Int) -> UInt32? {
        has(attribute) ? nftnl_expr_get_u32(expression, UInt16(attribute)) : nil
    }

    private func wide(_ attribute: Int) -> UInt64? {
        has(attribute) ? nftnl_expr_get_u64(expression, UInt16(attribute)) : nil
    }

    private func register(_ attribute: Int) -> NFRegister? { number(attribute).flatMap { NFRegister(number: $0) } }

    private func text(_ attribute: Int) -> String? {
        guard has(attribute) else { return nil }
        return nftnl_expr_get_str(expression, UInt16(attribute)).map { String(cString: $0) }
    }

    private func bytes(_ attribute: Int) -> [UInt8]? {
        var length: UInt32 = 0
        guard has(attribute), let data = nftnl_expr_get(expression, UInt16(attribute), &length) else { return nil }
        return Array(UnsafeRawBufferPointer(start: data, count: Int(length)))
    }
}
