internal import CNetlink
internal import Glibc
internal import SystemPackage

/// Changes of nftables objects that the kernel commits as one, or not at all.
public struct NFTransaction: Sendable {
    private var writer = MessageWriter(capacity: 64 << 10)
    /// What each message is about, by its index: "set bindm of table bridge sdagent".
    private var subjects: [String] = []

    /// A transaction that holds only while nobody else has committed since `generation` was read.
    public init(generation: UInt32) {
        writer.message(UInt16(NFNL_MSG_BATCH_BEGIN), operation: "begin a transaction") {
            $0.append(NFMessage.batchHeader)
            $0.attribute(Int(NFNL_BATCH_GENID.rawValue), bigEndian: generation)
        }
        subjects.append("")
    }

    /// Takes the whole table away; it must be there.
    public mutating func delete(_ table: NFTable) {
        add(NFT_MSG_DELTABLE, table, operation: "delete", "table \(table.subject)") {
            $0.attribute(Int(NFTA_TABLE_NAME.rawValue), table.name)
        }
    }

    /// Makes the whole table; none of its family and name may be there.
    public mutating func create(_ table: NFTable) {
        add(NFT_MSG_NEWTABLE, table, [.create, .exclusive], operation: "create", "table \(table.subject)") {
            $0.attribute(Int(NFTA_TABLE_NAME.rawValue), table.name)
            if !table.comment.isEmpty {
                $0.attribute(Int(NFTA_TABLE_USERDATA.rawValue), bytes: NFUserData.encode(comment: table.comment))
            }
        }
        // Chains before the elements and rules that jump to them, sets before the rules that look into them.
        for (id, set) in table.sets.values.sorted(by: { $0.name < $1.name }).enumerated() {
            create(set, id: UInt32(id + 1), in: table)
        }
        let chains = table.chains.values.sorted { $0.name < $1.name }
        for chain in chains { create(chain, in: table) }
        for set in table.sets.values.sorted(by: { $0.name < $1.name }) { insert(set.elements, into: set, of: table) }
        for chain in chains {
            for rule in chain.rules { append(rule, to: chain, of: table) }
        }
    }

    /// Puts elements into a set that is there.
    public mutating func insert(_ elements: [NFKey: NFData], into set: NFSet, of table: NFTable) {
        write(elements, NFT_MSG_NEWSETELEM, [.create], operation: "add elements to", set, table)
    }

    /// Takes elements out of a set.
    public mutating func remove(_ elements: [NFKey: NFData], from set: NFSet, of table: NFTable) {
        write(elements, NFT_MSG_DELSETELEM, [], operation: "remove elements from", set, table)
    }

    /// Commits. `generationChanged` where somebody else was faster: look and plan again.
    public consuming func commit(on socket: inout NetlinkSocket) throws(NFError) {
        guard writer.count > 1 else { return }
        writer.message(UInt16(NFNL_MSG_BATCH_END), operation: "commit") { $0.append(NFMessage.batchHeader) }
        let refusals: [(index: Int, error: NetlinkError)]
        do throws(NetlinkError) {
            refusals = try socket.transaction(writer)
        } catch {
            throw .netlink(error)
        }
        guard let first = refusals.first else { return }
        if refusals.contains(where: { $0.error.errno?.rawValue == ERESTART }) { throw .generationChanged }
        let subject = first.index < subjects.count ? subjects[first.index] : ""
        throw .netlink(first.error.about(subject))
    }

    private mutating func add(
        _ type: nf_tables_msg_types, _ table: NFTable, _ flags: MessageFlags = [], operation: StaticString,
        _ subject: String, _ body: (inout AttributeWriter) -> Void
    ) {
        writer.message(NFMessage.type(type), flags, operation: operation) {
            $0.append(NFMessage.header(table.family))
            body(&$0)
        }
        subjects.append(subject)
    }
}

// MARK: The parts of a table

extension NFTransaction {
    private mutating func create(_ set: NFSet, id: UInt32, in table: NFTable) {
        add(NFT_MSG_NEWSET, table, [.create], operation: "create", "set \(set.name) of table \(table.subject)") {
            $0.attribute(Int(NFTA_SET_TABLE.rawValue), table.name)
            $0.attribute(Int(NFTA_SET_NAME.rawValue), set.name)
            $0.attribute(Int(NFTA_SET_KEY_TYPE.rawValue), bigEndian: NFSet.typeNumber(set.key))
            $0.attribute(Int(NFTA_SET_KEY_LEN.rawValue), bigEndian: UInt32(NFSet.length(set.key)))
            $0.attribute(Int(NFTA_SET_ID.rawValue), bigEndian: id)
            switch set.target {
            case .member: break
            case .value(let fields):
                $0.attribute(Int(NFTA_SET_FLAGS.rawValue), bigEndian: UInt32(NFT_SET_MAP.rawValue))
                $0.attribute(Int(NFTA_SET_DATA_TYPE.rawValue), bigEndian: NFSet.typeNumber(fields))
                $0.attribute(Int(NFTA_SET_DATA_LEN.rawValue), bigEndian: UInt32(NFSet.length(fields)))
            case .verdict:
                $0.attribute(Int(NFTA_SET_FLAGS.rawValue), bigEndian: UInt32(NFT_SET_MAP.rawValue))
                $0.attribute(Int(NFTA_SET_DATA_TYPE.rawValue), bigEndian: UInt32(NFT_DATA_VERDICT.rawValue))
                $0.attribute(Int(NFTA_SET_DATA_LEN.rawValue), bigEndian: UInt32(0))
            }
            $0.attribute(Int(NFTA_SET_USERDATA.rawValue), bytes: set.userData)
        }
    }

    private mutating func create(_ chain: NFChain, in table: NFTable) {
        add(NFT_MSG_NEWCHAIN, table, [.create], operation: "create", "chain \(chain.name) of table \(table.subject)") {
            $0.attribute(Int(NFTA_CHAIN_TABLE.rawValue), table.name)
            $0.attribute(Int(NFTA_CHAIN_NAME.rawValue), chain.name)
            guard let hook = chain.hook else { return }
            $0.nested(Int(NFTA_CHAIN_HOOK.rawValue)) {
                $0.attribute(Int(NFTA_HOOK_HOOKNUM.rawValue), bigEndian: hook.point.rawValue)
                $0.attribute(Int(NFTA_HOOK_PRIORITY.rawValue), bigEndian: hook.priority)
            }
            $0.attribute(Int(NFTA_CHAIN_POLICY.rawValue), bigEndian: UInt32(hook.accepts ? 1 : 0))
            $0.attribute(Int(NFTA_CHAIN_TYPE.rawValue), hook.kind.rawValue)
        }
    }

    private mutating func append(_ rule: NFRule, to chain: NFChain, of table: NFTable) {
        let subject = "rule '\(rule.comment)' in chain \(chain.name) of table \(table.subject)"
        add(NFT_MSG_NEWRULE, table, [.create, .append], operation: "add", subject) { writer in
            RulePayload.withAttributes(of: rule, table: table.name, chain: chain.name) {
                writer.append(attributes: $0)
            }
        }
    }

    private mutating func write(
        _ elements: [NFKey: NFData], _ type: nf_tables_msg_types, _ flags: MessageFlags, operation: StaticString,
        _ set: NFSet, _ table: NFTable
    ) {
        let subject = "set \(set.name) of table \(table.subject)"
        // An element takes 64 bytes or fewer beside the name of a chain; an attribute must stay below 64 KiB.
        let portion = 400
        var index = elements.startIndex
        while index < elements.endIndex {
            let end = elements.index(index, offsetBy: portion, limitedBy: elements.endIndex) ?? elements.endIndex
            let slice = elements[index..<end]
            index = end
            add(type, table, flags, operation: operation, subject) {
                $0.attribute(Int(NFTA_SET_ELEM_LIST_TABLE.rawValue), table.name)
                $0.attribute(Int(NFTA_SET_ELEM_LIST_SET.rawValue), set.name)
                $0.nested(Int(NFTA_SET_ELEM_LIST_ELEMENTS.rawValue)) { list in
                    for (key, data) in slice {
                        list.nested(Int(NFTA_LIST_ELEM.rawValue)) { element in
                            element.nested(Int(NFTA_SET_ELEM_KEY.rawValue)) { field in
                                key.withBytes { field.attribute(Int(NFTA_DATA_VALUE.rawValue), bytes: $0) }
                            }
                            data.write(to: &element)
                        }
                    }
                }
            }
        }
    }
}

extension NFTable {
    /// "bridge sdagent", as the nft command names it.
    var subject: String {
        switch family {
        case .inet: "inet \(name)"
        case .ipv4: "ip \(name)"
        case .bridge: "bridge \(name)"
        case .ipv6: "ip6 \(name)"
        }
    }
}

extension NFSet {
    /// The byte orders of key and data, by which the nft command prints elements (NFTNL_UDATA_SET_KEYBYTEORDER 0,
    /// NFTNL_UDATA_SET_DATABYTEORDER 1; host 1, big-endian 2).
    fileprivate var userData: [UInt8] {
        func order(_ fields: [Field]) -> UInt8 { fields.count == 1 && fields[0].isHostOrder ? 1 : 2 }
        var bytes: [UInt8] = [0, 4, order(key), 0, 0, 0]
        if case .value(let fields) = target { bytes += [1, 4, order(fields), 0, 0, 0] }
        return bytes
    }
}

/// The attributes of a rule, written by libnftnl.
private enum RulePayload {
    /// More than any rule of ours takes.
    private static let capacity = 16 << 10

    static func withAttributes(
        of rule: NFRule, table: String, chain: String, _ body: (UnsafeRawBufferPointer) -> Void
    ) {
        let made = nftnl_rule_alloc()
        precondition(made != nil, "memory for one rule")
        defer { nftnl_rule_free(made) }
        nftnl_rule_set_str(made, UInt16(NFTNL_RULE_TABLE.rawValue), table)
        nftnl_rule_set_str(made, UInt16(NFTNL_RULE_CHAIN.rawValue), chain)
        if !rule.comment.isEmpty {
            let data = NFUserData.encode(comment: rule.comment)
            nftnl_rule_set_data(made, UInt16(NFTNL_RULE_USERDATA.rawValue), data, UInt32(data.count))
        }
        for expression in rule.expressions {
            let part = expression.make()
            precondition(part != nil, "an expression of our own making can be made")
            nftnl_rule_add_expr(made, part)
        }
        withUnsafeTemporaryAllocation(byteCount: capacity, alignment: 8) { buffer in
            guard let start = buffer.baseAddress?.assumingMemoryBound(to: CChar.self) else { return }
            let header = nftnl_nlmsg_build_hdr(start, 0, 0, 0, 0)
            guard let header else { return }
            nftnl_rule_nlmsg_build_payload(header, made)
            let skipped = MemoryLayout<nlmsghdr>.size + MemoryLayout<nfgenmsg>.size
            body(
                UnsafeRawBufferPointer(
                    rebasing: UnsafeRawBufferPointer(buffer)[skipped..<Int(header.pointee.nlmsg_len)]))
        }
    }
}
