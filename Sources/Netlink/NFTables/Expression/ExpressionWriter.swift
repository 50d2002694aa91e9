internal import CNetlink

extension NFExpression {
    /// The expression as libnftnl has it; nil where memory ran out, or for a foreign one, which is never written.
    func make() -> OpaquePointer? {
        switch self {
        case .meta(let key, let register):
            Self.build("meta", [(NFTNL_EXPR_META_KEY, key.rawValue), (NFTNL_EXPR_META_DREG, register.number)])
        case .payload(let base, let offset, let length, let register):
            Self.build(
                "payload",
                [
                    (NFTNL_EXPR_PAYLOAD_DREG, register.number), (NFTNL_EXPR_PAYLOAD_BASE, base.rawValue),
                    (NFTNL_EXPR_PAYLOAD_OFFSET, offset), (NFTNL_EXPR_PAYLOAD_LEN, length),
                ])
        case .compare(let register, let comparison, let bytes):
            Self.build(
                "cmp", [(NFTNL_EXPR_CMP_SREG, register.number), (NFTNL_EXPR_CMP_OP, comparison.rawValue)],
                data: [(NFTNL_EXPR_CMP_DATA, bytes)])
        case .mask(let register, let mask):
            Self.build(
                "bitwise",
                [
                    (NFTNL_EXPR_BITWISE_SREG, register.number), (NFTNL_EXPR_BITWISE_DREG, register.number),
                    (NFTNL_EXPR_BITWISE_LEN, UInt32(clamping: mask.count)),
                ],
                data: [
                    (NFTNL_EXPR_BITWISE_MASK, mask),
                    (NFTNL_EXPR_BITWISE_XOR, Array(repeating: 0, count: mask.count)),
                ])
        case .lookup(let register, let set, let isInverted):
            Self.build(
                "lookup",
                [(NFTNL_EXPR_LOOKUP_SREG, register.number)]
                    + (isInverted ? [(NFTNL_EXPR_LOOKUP_FLAGS, UInt32(NFT_LOOKUP_F_INV.rawValue))] : []),
                text: (NFTNL_EXPR_LOOKUP_SET, set))
        case .map(let register, let set, let into):
            Self.build(
                "lookup", [(NFTNL_EXPR_LOOKUP_SREG, register.number), (NFTNL_EXPR_LOOKUP_DREG, into.number)],
                text: (NFTNL_EXPR_LOOKUP_SET, set))
        case .verdictMap(let register, let set):
            Self.build(
                "lookup",
                [
                    (NFTNL_EXPR_LOOKUP_SREG, register.number),
                    (NFTNL_EXPR_LOOKUP_DREG, UInt32(NFT_REG_VERDICT.rawValue)),
                ],
                text: (NFTNL_EXPR_LOOKUP_SET, set))
        case .immediate(let register, let bytes):
            Self.build("immediate", [(NFTNL_EXPR_IMM_DREG, register.number)], data: [(NFTNL_EXPR_IMM_DATA, bytes)])
        case .verdict(let verdict):
            Self.build(
                "immediate",
                [
                    (NFTNL_EXPR_IMM_DREG, UInt32(NFT_REG_VERDICT.rawValue)),
                    (NFTNL_EXPR_IMM_VERDICT, UInt32(bitPattern: verdict.code)),
                ], text: verdict.chain.map { (NFTNL_EXPR_IMM_CHAIN, $0) })
        case .counter: Self.build("counter", [])
        case .conntrack(let key, let register):
            Self.build("ct", [(NFTNL_EXPR_CT_KEY, key.rawValue), (NFTNL_EXPR_CT_DREG, register.number)])
        case .nat(let kind, let isIPv6, let address, let port):
            Self.build(
                "nat",
                [
                    (NFTNL_EXPR_NAT_TYPE, kind.rawValue),
                    (NFTNL_EXPR_NAT_FAMILY, UInt32(isIPv6 ? NFPROTO_IPV6 : NFPROTO_IPV4)),
                    (NFTNL_EXPR_NAT_REG_ADDR_MIN, address.number),
                ] + (port.map { [(NFTNL_EXPR_NAT_REG_PROTO_MIN, $0.number)] } ?? []))
        case .masquerade: Self.build("masq", [])
        case .foreign: nil as OpaquePointer?
        }
    }

    private static func build(
        _ name: String, _ numbers: [(attribute: Int, value: UInt32)], data: [(attribute: Int, bytes: [UInt8])] = [],
        text: (attribute: Int, value: String)? = nil
    ) -> OpaquePointer? {
        guard let expression = nftnl_expr_alloc(name) else { return nil }
        for (attribute, value) in numbers { nftnl_expr_set_u32(expression, UInt16(attribute), value) }
        var isWhole = true
        for (attribute, bytes) in data {
            isWhole = nftnl_expr_set(expression, UInt16(attribute), bytes, UInt32(bytes.count)) == 0 && isWhole
        }
        if let text { isWhole = nftnl_expr_set_str(expression, UInt16(text.attribute), text.value) == 0 && isWhole }
        guard isWhole else {
            nftnl_expr_free(expression)
            return nil
        }
        return expression
    }
}
