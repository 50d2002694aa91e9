internal import CNetlink

/// What one rule of anybody's says about interfaces and chains, read from its expressions; the rest of it is skipped.
struct RuleOutline {
    enum Interfaces {
        case name(String)
        case set(String)
    }

    let chain: String
    /// The chain that it jumps or goes to.
    private(set) var leadsTo: String?
    private var side: NFInterfacePass.Side?
    private var interfaces: Interfaces?
    private var hasVerdict = false
    private var isPlain = true

    /// The interfaces that pass, where their name is all that the rule asks for.
    var pass: (side: NFInterfacePass.Side, interfaces: Interfaces)? {
        guard isPlain, hasVerdict, let side, let interfaces else { return nil }
        return (side, interfaces)
    }

    /// Nil for a rule of another table.
    init?(_ message: Message, table: String) {
        var (owner, chain) = ("", "")
        var expressions: AttributeReader?
        for attribute in message.attributes(after: nfgenmsg.self) {
            switch attribute.type {
            case Int(NFTA_RULE_TABLE.rawValue): owner = attribute.text
            case Int(NFTA_RULE_CHAIN.rawValue): chain = attribute.text
            case Int(NFTA_RULE_EXPRESSIONS.rawValue): expressions = attribute.nested
            default: break
            }
        }
        guard owner == table else { return nil }
        self.chain = chain
        guard let expressions else { return }
        for expression in expressions { take(expression) }
    }

    private mutating func take(_ expression: Attribute) {
        var name = ""
        var fields: AttributeReader?
        for part in expression.nested {
            switch part.type {
            case Int(NFTA_EXPR_NAME.rawValue): name = part.text
            case Int(NFTA_EXPR_DATA.rawValue): fields = part.nested
            default: break
            }
        }
        switch (name, fields) {
        case ("counter", _): break
        case ("meta", let fields?): takeMeta(fields)
        case ("cmp", let fields?): takeComparison(fields)
        case ("lookup", let fields?): takeLookup(fields)
        case ("immediate", let fields?): takeVerdict(fields)
        default: isPlain = false
        }
    }

    private mutating func takeMeta(_ fields: AttributeReader) {
        let key = fields.first { $0.type == Int(NFTA_META_KEY.rawValue) }?.bigEndian(as: UInt32.self)
        isPlain = isPlain && side == nil
        switch key {
        // In the bridge family the first two are ports, the others their bridges.
        case UInt32(NFT_META_IIFNAME.rawValue), UInt32(NFT_META_BRI_IIFNAME.rawValue): side = .input
        case UInt32(NFT_META_OIFNAME.rawValue), UInt32(NFT_META_BRI_OIFNAME.rawValue): side = .output
        default: isPlain = false
        }
    }

    private mutating func takeComparison(_ fields: AttributeReader) {
        let operation = fields.first { $0.type == Int(NFTA_CMP_OP.rawValue) }?.bigEndian(as: UInt32.self)
        let data = fields.first { $0.type == Int(NFTA_CMP_DATA.rawValue) }
        let value = data?.nested.first { $0.type == Int(NFTA_DATA_VALUE.rawValue) }
        // Without its NUL it is the beginning of a name: `vm*`, `blue+`.
        guard operation == UInt32(NFT_CMP_EQ.rawValue), let value, value.bytes.contains(0), interfaces == nil else {
            isPlain = false
            return
        }
        interfaces = .name(value.text)
    }

    private mutating func takeLookup(_ fields: AttributeReader) {
        let flags = fields.first { $0.type == Int(NFTA_LOOKUP_FLAGS.rawValue) }?.bigEndian(as: UInt32.self)
        let set = fields.first { $0.type == Int(NFTA_LOOKUP_SET.rawValue) }?.text
        // A verdict map has a destination register, a negation a flag: neither is a pass.
        let hasTarget = fields.contains { $0.type == Int(NFTA_LOOKUP_DREG.rawValue) }
        guard let set, !hasTarget, flags ?? 0 == 0, interfaces == nil else {
            isPlain = false
            return
        }
        interfaces = .set(set)
    }

    private mutating func takeVerdict(_ fields: AttributeReader) {
        let data = fields.first { $0.type == Int(NFTA_IMMEDIATE_DATA.rawValue) }
        let parts = data?.nested.first { $0.type == Int(NFTA_DATA_VERDICT.rawValue) }?.nested
        let code = parts?.first { $0.type == Int(NFTA_VERDICT_CODE.rawValue) }?.bigEndian(as: Int32.self)
        leadsTo = parts?.first { $0.type == Int(NFTA_VERDICT_CHAIN.rawValue) }?.text
        // NF_ACCEPT is 1; a jump and a goto name a chain.
        hasVerdict = code == 1 || leadsTo != nil
    }
}
