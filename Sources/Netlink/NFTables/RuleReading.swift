internal import CNetlink

extension NetlinkSocket {
    /// Reads the outlines of all rules of one table, sets of interface names looked into; none where it has gone.
    public mutating func nftablesOutlines(_ table: NFForeignRules.TableName) throws(NFError) -> [NFRuleOutline] {
        do throws(NetlinkError) {
            var request = MessageWriter()
            request.message(NFMessage.type(NFT_MSG_GETRULE), .dump, operation: "list the rules of a table") {
                $0.append(nfgenmsg(nfgen_family: table.family.rawValue, version: UInt8(NFNETLINK_V0), res_id: 0))
                $0.attribute(Int(NFTA_RULE_TABLE.rawValue), table.name)
            }
            let readings = try dump(request) { RuleReading($0, table) }
            var outlines: [NFRuleOutline] = []
            for var reading in readings {
                for (index, set) in reading.sets {
                    reading.outline.interfaces[index].names = try setMembers(table, set)
                }
                outlines.append(reading.outline)
            }
            return outlines
        } catch {
            // The table went away between two looks.
            if error.isMissing { return [] }
            throw .netlink(error)
        }
    }

    /// The names in a set of interface names, or in the keys of a map.
    private mutating func setMembers(
        _ table: NFForeignRules.TableName, _ set: String
    ) throws(NetlinkError) -> Set<String> {
        let elements = try wholeElements(of: set, table.family.rawValue, table.name)
        return Set(elements.map { String(decoding: $0.key.bytes.prefix { $0 != 0 }, as: UTF8.self) })
    }
}

/// The outline of a rule, while its expressions are read one by one.
private struct RuleReading {
    /// What the last expression has loaded, for the next one to compare.
    private enum Loaded {
        case side(NFRuleOutline.Interfaces.Side)
        /// The version of IP, by its number among netfilter's protocols.
        case version
        /// Something that says nothing of interfaces and networks.
        case other
        /// Something that may.
        case vague
    }

    var outline: NFRuleOutline
    /// The sets whose names are still to be read, by the condition that they belong to.
    private(set) var sets: [(index: Int, name: String)] = []
    private let family: NFFamily
    private var loaded: Loaded?

    /// Nil for a rule of another table.
    init?(_ message: Message, _ table: NFForeignRules.TableName) {
        guard message.header(as: nfgenmsg.self)?.nfgen_family == table.family.rawValue else { return nil }
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
        guard owner == table.name else { return nil }
        outline = NFRuleOutline(chain: chain, .nothing)
        family = table.family
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
        case ("meta", let fields?): takeMeta(fields)
        case ("payload", let fields?): takePayload(fields)
        case ("fib", _):
            outline.asksForRoute = true
            // It takes what has been loaded as no key of its own.
            loaded = .other
        case ("ct", _), ("exthdr", _), ("numgen", _), ("socket", _), ("rt", _): load(.other)
        case ("bitwise", _), ("byteorder", _): if case .side = loaded { loaded = .vague }
        case ("cmp", let fields?): takeComparison(fields)
        case ("lookup", let fields?): takeLookup(fields)
        case ("immediate", let fields?): takeVerdict(fields)
        case ("reject", _): outline.deed = .refuse
        case ("target", let fields?): takeTarget(fields)
        case ("match", let fields?): takeMatch(fields)
        case ("counter", _), ("log", _), ("nat", _), ("masq", _), ("redir", _), ("notrack", _): break
        case ("limit", _), ("connlimit", _), ("quota", _), ("last", _): outline.isPartial = true
        case ("range", _): compareOther()
        default: (outline.isPartial, outline.isVague) = (true, true)
        }
    }

    /// Two loads without a comparison between them are a key of several parts.
    private mutating func load(_ new: Loaded) {
        switch (loaded, new) {
        case (nil, _): loaded = new
        case (.side?, _), (.vague?, _), (_, .side), (_, .vague): loaded = .vague
        case (.other?, _), (.version?, _): loaded = .other
        }
    }

    private mutating func compareOther() {
        outline.isPartial = true
        switch loaded {
        case .side, .vague: outline.isVague = true
        case .version, .other, nil: break
        }
        loaded = nil
    }

    private mutating func takeMeta(_ fields: AttributeReader) {
        // One that sets something has a source and loads nothing.
        guard !fields.contains(where: { $0.type == Int(NFTA_META_SREG.rawValue) }) else { return }
        let key = fields.first { $0.type == Int(NFTA_META_KEY.rawValue) }?.bigEndian(as: UInt32.self)
        switch key {
        // In the bridge family these are ports, and the next two their bridges.
        case UInt32(NFT_META_IIFNAME.rawValue): load(family == .bridge ? .vague : .side(.input))
        case UInt32(NFT_META_OIFNAME.rawValue): load(family == .bridge ? .vague : .side(.output))
        case UInt32(NFT_META_BRI_IIFNAME.rawValue): load(.side(.input))
        case UInt32(NFT_META_BRI_OIFNAME.rawValue): load(.side(.output))
        case UInt32(NFT_META_IIF.rawValue), UInt32(NFT_META_OIF.rawValue), UInt32(NFT_META_IIFGROUP.rawValue),
            UInt32(NFT_META_OIFGROUP.rawValue), UInt32(NFT_META_MARK.rawValue):
            load(.vague)
        case UInt32(NFT_META_NFPROTO.rawValue): load(.version)
        default: load(.other)
        }
    }

    /// Addresses stand from the eighth byte of an IPv6 header on, from the twelfth of an IPv4 header. The ninth of the
    /// latter is the protocol, which is often asked for, and from which no address of IPv6 is.
    private mutating func takePayload(_ fields: AttributeReader) {
        func number(_ type: nft_payload_attributes) -> UInt32? {
            fields.first { $0.type == Int(type.rawValue) }?.bigEndian(as: UInt32.self)
        }
        let isNetwork = number(NFTA_PAYLOAD_BASE) == UInt32(NFT_PAYLOAD_NETWORK_HEADER.rawValue)
        let offset = number(NFTA_PAYLOAD_OFFSET) ?? 0
        load(isNetwork && offset != 9 && offset >= (family == .ip ? 12 : 8) ? .vague : .other)
    }

    private mutating func takeComparison(_ fields: AttributeReader) {
        let operation = fields.first { $0.type == Int(NFTA_CMP_OP.rawValue) }?.bigEndian(as: UInt32.self)
        let data = fields.first { $0.type == Int(NFTA_CMP_DATA.rawValue) }
        let value = data?.nested.first { $0.type == Int(NFTA_DATA_VALUE.rawValue) }
        let isEqual = operation == UInt32(NFT_CMP_EQ.rawValue)
        if case .version = loaded, isEqual, let number = value?.bytes.first {
            outline.isIPv4 = number == NFFamily.ip.rawValue
        }
        guard case .side(let side) = loaded, let value, isEqual || operation == UInt32(NFT_CMP_NEQ.rawValue) else {
            return compareOther()
        }
        loaded = nil
        // Without its NUL it is the beginning of a name: `vm*`, `blue+`.
        let isWhole = value.bytes.contains(0)
        outline.interfaces.append(
            NFRuleOutline.Interfaces(
                side, isWhole ? [value.text] : [], beginning: isWhole ? nil : value.text, isInverted: !isEqual))
    }

    private mutating func takeLookup(_ fields: AttributeReader) {
        let flags = fields.first { $0.type == Int(NFTA_LOOKUP_FLAGS.rawValue) }?.bigEndian(as: UInt32.self) ?? 0
        let set = fields.first { $0.type == Int(NFTA_LOOKUP_SET.rawValue) }?.text
        // A map of verdicts: what becomes of which key is not read, only that somebody has thought of it.
        let isMap = fields.contains { $0.type == Int(NFTA_LOOKUP_DREG.rawValue) }
        if isMap { (outline.isPartial, outline.deed) = (true, .accept) }
        guard case .side(let side) = loaded, let set else { return compareOther() }
        loaded = nil
        sets.append((outline.interfaces.count, set))
        outline.interfaces.append(
            NFRuleOutline.Interfaces(side, [], isInverted: flags & UInt32(NFT_LOOKUP_F_INV.rawValue) != 0))
    }

    private mutating func takeVerdict(_ fields: AttributeReader) {
        let data = fields.first { $0.type == Int(NFTA_IMMEDIATE_DATA.rawValue) }
        guard let parts = data?.nested.first(where: { $0.type == Int(NFTA_DATA_VERDICT.rawValue) })?.nested else {
            return
        }
        let code = parts.first { $0.type == Int(NFTA_VERDICT_CODE.rawValue) }?.bigEndian(as: Int32.self)
        let chain = parts.first { $0.type == Int(NFTA_VERDICT_CHAIN.rawValue) }?.text ?? ""
        switch code {
        // NF_DROP and NF_ACCEPT (linux/netfilter.h); those of nftables are below zero.
        case 0: outline.deed = .refuse
        case 1: outline.deed = .accept
        case NFT_JUMP.rawValue: outline.deed = .jump(chain)
        case NFT_GOTO.rawValue: outline.deed = .goto(chain)
        case NFT_RETURN.rawValue: outline.deed = .return
        default: break
        }
    }

    /// A target of iptables; those with a verdict of their own are expressions of nftables, but for this one.
    private mutating func takeTarget(_ fields: AttributeReader) {
        let name = fields.first { $0.type == Int(NFTA_TARGET_NAME.rawValue) }
        if name?.isText("REJECT") == true { outline.deed = .refuse }
    }

    private mutating func takeMatch(_ fields: AttributeReader) {
        let name = fields.first { $0.type == Int(NFTA_MATCH_NAME.rawValue) }?.text ?? ""
        outline.takeMatch(name)
    }
}

extension NFRuleOutline {
    /// Matches of iptables that say nothing of interfaces and networks.
    private static let plainMatches: Set<String> = [
        "addrtype", "conntrack", "connlimit", "hashlimit", "icmp", "icmp6", "length", "limit", "multiport", "pkttype",
        "recent", "rpfilter", "state", "tcp", "udp",
    ]

    /// Takes note of a match of iptables, old or new, by its name.
    mutating func takeMatch(_ name: String) {
        guard name != "comment" else { return }
        isPartial = true
        if name == "rpfilter" { asksForRoute = true }
        if !Self.plainMatches.contains(name) { isVague = true }
    }
}
