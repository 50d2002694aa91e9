internal import CNetlink

/// One table as the kernel has it, with the generation in which it was read.
public struct NFSight: Sendable {
    /// For the transaction that changes it.
    public let generation: UInt32
    /// Nil where the kernel has none of that family and name.
    public let table: NFTable?
}

extension NetlinkSocket {
    private static let dumpAttempts = 20

    /// The generation of the ruleset of this network namespace: it changes with every commit of anybody.
    public mutating func nftablesGeneration() throws(NFError) -> UInt32 {
        var request = MessageWriter()
        request.message(NFMessage.type(NFT_MSG_GETGEN), operation: "read the nftables generation") {
            $0.append(NFMessage.header(nil))
        }
        var generation: UInt32?
        do throws(NetlinkError) {
            for case let error? in try self.request(
                request,
                onReply: { _, message in
                    for attribute in message.attributes(after: nfgenmsg.self)
                    where attribute.type == Int(NFTA_GEN_ID.rawValue) { generation = attribute.bigEndian() }
                })
            { throw error }
        } catch {
            throw .netlink(error)
        }
        guard let generation else {
            throw .netlink(NetlinkError(operation: "read the nftables generation", cause: .malformed))
        }
        return generation
    }

    /// Reads one table whole: all of it in one generation.
    public mutating func nftablesTable(_ family: NFTable.Family, _ name: String) throws(NFError) -> NFSight {
        for _ in 0..<Self.dumpAttempts {
            let before = try nftablesGeneration()
            let table = try readTable(family, name)
            // Dumps of tables, chains, rules and sets are separate: only an equal generation makes them one.
            if try nftablesGeneration() == before { return NFSight(generation: before, table: table) }
        }
        throw .unsteady
    }

    private mutating func readTable(_ family: NFTable.Family, _ name: String) throws(NFError) -> NFTable? {
        do throws(NetlinkError) {
            guard var table = try readFrame(family, name) else { return nil }
            for set in try readSets(table) {
                var set = set
                for (key, data) in try readElements(set.name, table) { set.elements[key] = data }
                table.sets[set.name] = set
            }
            for chain in try readChains(table) { table.chains[chain.name] = chain }
            for (chain, rule) in try readRules(table) { table.chains[chain]?.rules.append(rule) }
            return table
        } catch {
            // It went away between two dumps: the generation says so.
            if error.isMissing { return nil }
            throw .netlink(error)
        }
    }

    private mutating func readFrame(_ family: NFTable.Family, _ name: String) throws(NetlinkError) -> NFTable? {
        var request = MessageWriter()
        request.message(NFMessage.type(NFT_MSG_GETTABLE), operation: "read nftables table") {
            $0.append(NFMessage.header(family))
            $0.attribute(Int(NFTA_TABLE_NAME.rawValue), name)
        }
        var table: NFTable?
        let outcomes = try self.request(request) { _, message in
            var read = NFTable(family: family, name: name)
            for attribute in message.attributes(after: nfgenmsg.self) {
                switch attribute.type {
                case Int(NFTA_TABLE_USERDATA.rawValue): read.comment = NFUserData.comment(in: attribute.payload)
                // A dormant table filters nothing: unequal to any of ours.
                case Int(NFTA_TABLE_FLAGS.rawValue):
                    if let flags = attribute.bigEndian(as: UInt32.self), flags & 1 != 0 { read.comment += " (dormant)" }
                default: break
                }
            }
            table = read
        }
        for case let error? in outcomes where !error.isMissing { throw error.about(name) }
        return table
    }

    private mutating func readSets(_ table: NFTable) throws(NetlinkError) -> [NFSet] {
        try dump(NFT_MSG_GETSET, table, operation: "list nftables sets", Int(NFTA_SET_TABLE.rawValue)) { message in
            var name = ""
            var key: UInt32 = 0
            var data: UInt32?
            for attribute in message.attributes(after: nfgenmsg.self) {
                switch attribute.type {
                case Int(NFTA_SET_NAME.rawValue): name = attribute.text
                case Int(NFTA_SET_KEY_TYPE.rawValue): key = attribute.bigEndian() ?? 0
                case Int(NFTA_SET_DATA_TYPE.rawValue): data = attribute.bigEndian()
                default: break
                }
            }
            // A set of another form than ours is shown without fields: unequal to any that we make.
            let fields = NFSet.fields(key) ?? []
            switch data {
            case nil: return NFSet(name, key: fields)
            case UInt32(NFT_DATA_VERDICT.rawValue): return NFSet(name, key: fields, target: .verdict)
            case let type?: return NFSet(name, key: fields, target: .value(NFSet.fields(type) ?? []))
            }
        }
    }

    private mutating func readElements(
        _ set: String, _ table: NFTable
    ) throws(NetlinkError) -> [(NFKey, NFData)] {
        var request = MessageWriter()
        request.message(NFMessage.type(NFT_MSG_GETSETELEM), .dump, operation: "list nftables elements") {
            $0.append(NFMessage.header(table.family))
            $0.attribute(Int(NFTA_SET_ELEM_LIST_TABLE.rawValue), table.name)
            $0.attribute(Int(NFTA_SET_ELEM_LIST_SET.rawValue), set)
        }
        return try dump(request) { message -> [(NFKey, NFData)]? in
            var elements: [(NFKey, NFData)] = []
            for list in message.attributes(after: nfgenmsg.self)
            where list.type == Int(NFTA_SET_ELEM_LIST_ELEMENTS.rawValue) {
                for element in list.nested { elements.append(Self.element(element)) }
            }
            return elements
        }.flatMap { $0 }
    }

    /// One element; one that is not of our making gets a key that none of ours has.
    private static func element(_ attribute: Attribute) -> (NFKey, NFData) {
        var key: NFKey?
        var data: NFData? = .member
        for field in attribute.nested {
            switch field.type {
            case Int(NFTA_SET_ELEM_KEY.rawValue):
                for value in field.nested where value.type == Int(NFTA_DATA_VALUE.rawValue) {
                    key = NFKey(bytes: value.payload)
                }
            case Int(NFTA_SET_ELEM_DATA.rawValue): data = NFData(reading: field)
            default: break
            }
        }
        return (key ?? NFKey(), data ?? .member)
    }

    private mutating func readChains(_ table: NFTable) throws(NetlinkError) -> [NFChain] {
        try dump(NFT_MSG_GETCHAIN, table, operation: "list nftables chains", Int(NFTA_CHAIN_TABLE.rawValue)) {
            message in
            var name = ""
            var isOurs = false
            var kind: String?
            var point: UInt32?
            var priority: Int32?
            var policy: UInt32 = 1
            for attribute in message.attributes(after: nfgenmsg.self) {
                switch attribute.type {
                // The kernel filters chains by family only.
                case Int(NFTA_CHAIN_TABLE.rawValue): isOurs = attribute.text == table.name
                case Int(NFTA_CHAIN_NAME.rawValue): name = attribute.text
                case Int(NFTA_CHAIN_TYPE.rawValue): kind = attribute.text
                case Int(NFTA_CHAIN_POLICY.rawValue): policy = attribute.bigEndian() ?? 1
                case Int(NFTA_CHAIN_HOOK.rawValue):
                    for field in attribute.nested {
                        switch field.type {
                        case Int(NFTA_HOOK_HOOKNUM.rawValue): point = field.bigEndian()
                        case Int(NFTA_HOOK_PRIORITY.rawValue): priority = field.bigEndian()
                        default: break
                        }
                    }
                default: break
                }
            }
            guard isOurs else { return nil }
            guard let kind = kind.flatMap(NFChain.Hook.Kind.init), let point = point.flatMap(NFChain.Hook.Point.init),
                let priority
            else { return NFChain(name) }
            return NFChain(name, hook: NFChain.Hook(kind, point, priority: priority, accepts: policy == 1))
        }
    }

    private mutating func readRules(_ table: NFTable) throws(NetlinkError) -> [(chain: String, rule: NFRule)] {
        try dump(NFT_MSG_GETRULE, table, operation: "list nftables rules", Int(NFTA_RULE_TABLE.rawValue)) { message in
            guard let start = message.start, let rule = nftnl_rule_alloc() else { return nil }
            defer { nftnl_rule_free(rule) }
            guard nftnl_rule_nlmsg_parse(start, rule) >= 0,
                let owner = nftnl_rule_get_str(rule, UInt16(NFTNL_RULE_TABLE.rawValue)),
                String(cString: owner) == table.name,
                let chain = nftnl_rule_get_str(rule, UInt16(NFTNL_RULE_CHAIN.rawValue))
            else { return nil }
            return (String(cString: chain), NFRule(reading: rule))
        }
    }

    private mutating func dump<Item>(
        _ type: nf_tables_msg_types, _ table: NFTable, operation: StaticString, _ nameAttribute: Int,
        _ decode: (Message) -> Item?
    ) throws(NetlinkError) -> [Item] {
        var request = MessageWriter()
        request.message(NFMessage.type(type), .dump, operation: operation) {
            $0.append(NFMessage.header(table.family))
            $0.attribute(nameAttribute, table.name)
        }
        return try dump(request) { message in decode(message) }
    }
}

extension NFRule {
    /// The rule that libnftnl read from the kernel.
    fileprivate init(reading rule: OpaquePointer) {
        var expressions: [NFExpression] = []
        if let iterator = nftnl_expr_iter_create(rule) {
            defer { nftnl_expr_iter_destroy(iterator) }
            while let expression = nftnl_expr_iter_next(iterator) {
                expressions.append(NFExpression(reading: expression))
            }
        }
        var length: UInt32 = 0
        let data = nftnl_rule_get_data(rule, UInt16(NFTNL_RULE_USERDATA.rawValue), &length)
        let comment = data.map { NFUserData.comment(in: UnsafeRawBufferPointer(start: $0, count: Int(length))) }
        self.init(expressions, comment: comment ?? "")
    }
}
