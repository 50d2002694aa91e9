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
        case "bitwise": mask()
        case "lookup": lookup()
        case "immediate": immediate()
        case "counter": .counter
        case "ct": conntrack()
        case "nat": nat()
        case "masq": has(NFTNL_EXPR_MASQ_REG_PROTO_MIN) || (number(NFTNL_EXPR_MASQ_FLAGS) ?? 0) != 0 ? nil : .masquerade
        default: nil
        }
    }

    private func meta() -> NFExpression? {
        guard let register = register(NFTNL_EXPR_META_DREG) else { return nil }
        return number(NFTNL_EXPR_META_KEY).flatMap(NFMeta.init).map { .meta($0, into: register) }
    }

    private func payload() -> NFExpression? {
        guard let base = number(NFTNL_EXPR_PAYLOAD_BASE).flatMap(NFPayloadBase.init),
            let offset = number(NFTNL_EXPR_PAYLOAD_OFFSET), let length = number(NFTNL_EXPR_PAYLOAD_LEN),
            let register = register(NFTNL_EXPR_PAYLOAD_DREG)
        else { return nil }
        return .payload(base, offset: offset, length: length, into: register)
    }

    private func compare() -> NFExpression? {
        guard let register = register(NFTNL_EXPR_CMP_SREG),
            let comparison = number(NFTNL_EXPR_CMP_OP).flatMap(NFComparison.init),
            let bytes = bytes(NFTNL_EXPR_CMP_DATA)
        else { return nil }
        return .compare(register, comparison, bytes)
    }

    private func mask() -> NFExpression? {
        // NFT_BITWISE_BOOL is 0; shifts have no mask.
        guard (number(NFTNL_EXPR_BITWISE_OP) ?? 0) == 0, let from = register(NFTNL_EXPR_BITWISE_SREG),
            from == register(NFTNL_EXPR_BITWISE_DREG), let mask = bytes(NFTNL_EXPR_BITWISE_MASK),
            bytes(NFTNL_EXPR_BITWISE_XOR)?.allSatisfy({ $0 == 0 }) == true
        else { return nil }
        return .mask(from, mask)
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

    private func immediate() -> NFExpression? {
        if number(NFTNL_EXPR_IMM_DREG) == UInt32(NFT_REG_VERDICT.rawValue) {
            guard let code = number(NFTNL_EXPR_IMM_VERDICT) else { return nil }
            return NFVerdict(code: Int32(bitPattern: code), chain: text(NFTNL_EXPR_IMM_CHAIN)).map { .verdict($0) }
        }
        guard let register = register(NFTNL_EXPR_IMM_DREG) else { return nil }
        return bytes(NFTNL_EXPR_IMM_DATA).map { .immediate(register, $0) }
    }

    private func conntrack() -> NFExpression? {
        guard !has(NFTNL_EXPR_CT_DIR), let register = register(NFTNL_EXPR_CT_DREG) else { return nil }
        return number(NFTNL_EXPR_CT_KEY).flatMap(NFConntrack.init).map { .conntrack($0, into: register) }
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

    private func number(_ attribute: Int) -> UInt32? {
        has(attribute) ? nftnl_expr_get_u32(expression, UInt16(attribute)) : nil
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
