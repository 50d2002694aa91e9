internal import CNetlink

/// One table as the kernel has it, with the generation in which it was read.
public struct NFSight: Sendable {
    /// For the transaction that changes it.
    public internal(set) var generation: UInt32
    /// Nil where the kernel has none of that family and name.
    public internal(set) var table: NFTable?
    /// None where there is no table.
    public internal(set) var flags: NFTableFlags
    /// The port number of the socket that owns it (usually the process id of its owner); nil where none does.
    public internal(set) var owner: UInt32?
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
            let read = try readTable(family, name)
            // Dumps of tables, chains, rules and sets are separate: only an equal generation makes them one.
            guard try nftablesGeneration() == before else { continue }
            return NFSight(
                generation: before, table: read?.table, flags: read?.flags ?? [], owner: read?.owner)
        }
        throw .unsteady
    }

    private mutating func readTable(_ family: NFTable.Family, _ name: String) throws(NFError) -> TableFrame? {
        do throws(NetlinkError) {
            guard var frame = try readFrame(family, name) else { return nil }
            for set in try readSets(frame.table) { frame.table.sets[set.name] = set }
            frame.table.counters = Set(try readCounters(frame.table).keys)
            for chain in try readChains(frame.table) { frame.table.chains[chain.name] = chain }
            for (chain, rule) in try readRules(frame.table) { frame.table.chains[chain]?.rules.append(rule) }
            return frame
        } catch {
            // It went away between two dumps: the generation says so.
            if error.isMissing { return nil }
            throw .netlink(error)
        }
    }

    /// Who owns a table, and how it is flagged; nil where there is none. Neither changes the generation.
    mutating func nftablesHold(
        _ family: NFTable.Family, _ name: String
    ) throws(NFError) -> (flags: NFTableFlags, owner: UInt32?)? {
        do throws(NetlinkError) {
            return try readFrame(family, name).map { ($0.flags, $0.owner) }
        } catch {
            throw .netlink(error)
        }
    }

    /// A table with what is not part of its value.
    private struct TableFrame {
        var table: NFTable
        var flags: NFTableFlags = []
        var owner: UInt32?
    }

    private mutating func readFrame(_ family: NFTable.Family, _ name: String) throws(NetlinkError) -> TableFrame? {
        var request = MessageWriter()
        request.message(NFMessage.type(NFT_MSG_GETTABLE), operation: "read nftables table") {
            $0.append(NFMessage.header(family))
            $0.attribute(Int(NFTA_TABLE_NAME.rawValue), name)
        }
        var found: TableFrame?
        let outcomes = try self.request(request) { _, message in
            var frame = TableFrame(table: NFTable(family: family, name: name))
            for attribute in message.attributes(after: nfgenmsg.self) {
                switch attribute.type {
                case Int(NFTA_TABLE_USERDATA.rawValue):
                    frame.table.comment = NFUserData.comment(in: attribute.payload)
                case Int(NFTA_TABLE_FLAGS.rawValue):
                    frame.flags = NFTableFlags(rawValue: attribute.bigEndian() ?? 0)
                case Int(NFTA_TABLE_OWNER.rawValue): frame.owner = attribute.bigEndian()
                default: break
                }
            }
            // A dormant table filters nothing: unequal to any of ours.
            if frame.flags.contains(.dormant) { frame.table.comment += " (dormant)" }
            found = frame
        }
        for case let error? in outcomes where !error.isMissing { throw error.about(name) }
        return found
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
            var devices: [InterfaceName] = []
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
                        // A single device is named twice, here and in NFTA_HOOK_DEV.
                        case Int(NFTA_HOOK_DEVS.rawValue): devices = field.nested.compactMap(\.interfaceName)
                        default: break
                        }
                    }
                default: break
                }
            }
            guard isOurs else { return nil }
            guard let kind = kind.flatMap(NFChain.Hook.Kind.init), let priority,
                let point = point.flatMap({ NFChain.Hook.Point(number: $0, in: table.family) })
            else { return NFChain(name) }
            let hook = NFChain.Hook(kind, point, priority: priority, accepts: policy == 1, devices: devices)
            return NFChain(name, hook: hook)
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

    mutating func dump<Item>(
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
