internal import CNetlink

/// The messages about chains, rules and counters of a table.
extension NFTransaction {
    /// Makes a chain without rules.
    mutating func create(_ chain: NFChain, in table: NFTable) {
        add(NFT_MSG_NEWCHAIN, table, [.create], operation: "create", subject(chain, table)) {
            $0.attribute(Int(NFTA_CHAIN_TABLE.rawValue), table.name)
            $0.attribute(Int(NFTA_CHAIN_NAME.rawValue), chain.name)
            guard let hook = chain.hook else { return }
            $0.nested(Int(NFTA_CHAIN_HOOK.rawValue)) {
                $0.attribute(Int(NFTA_HOOK_HOOKNUM.rawValue), bigEndian: hook.point.number)
                $0.attribute(Int(NFTA_HOOK_PRIORITY.rawValue), bigEndian: hook.priority)
                guard !hook.devices.isEmpty else { return }
                $0.nested(Int(NFTA_HOOK_DEVS.rawValue)) {
                    for device in hook.devices { $0.attribute(Int(NFTA_DEVICE_NAME.rawValue), device.description) }
                }
            }
            $0.attribute(Int(NFTA_CHAIN_POLICY.rawValue), bigEndian: hook.policy)
            $0.attribute(Int(NFTA_CHAIN_TYPE.rawValue), hook.kind.rawValue)
        }
    }

    /// Gives a base chain another policy, in place.
    mutating func setPolicy(of chain: NFChain, in table: NFTable) {
        guard let hook = chain.hook else { return }
        add(NFT_MSG_NEWCHAIN, table, operation: "set the policy of", subject(chain, table)) {
            $0.attribute(Int(NFTA_CHAIN_TABLE.rawValue), table.name)
            $0.attribute(Int(NFTA_CHAIN_NAME.rawValue), chain.name)
            $0.attribute(Int(NFTA_CHAIN_POLICY.rawValue), bigEndian: hook.policy)
        }
    }

    /// Takes a chain away with its rules; nothing may lead to it.
    mutating func delete(_ chain: NFChain, of table: NFTable) {
        add(NFT_MSG_DELCHAIN, table, operation: "delete", subject(chain, table)) {
            $0.attribute(Int(NFTA_CHAIN_TABLE.rawValue), table.name)
            $0.attribute(Int(NFTA_CHAIN_NAME.rawValue), chain.name)
        }
    }

    /// Takes all rules of a chain away.
    mutating func flush(_ chain: NFChain, of table: NFTable) {
        add(NFT_MSG_DELRULE, table, operation: "flush", subject(chain, table)) {
            $0.attribute(Int(NFTA_RULE_TABLE.rawValue), table.name)
            $0.attribute(Int(NFTA_RULE_CHAIN.rawValue), chain.name)
        }
    }

    /// Adds rules at the end of a chain.
    mutating func append(_ rules: [NFRule], to chain: NFChain, of table: NFTable) {
        for rule in rules {
            let subject = "rule '\(rule.comment)' in chain \(chain.name) of table \(table.subject)"
            add(NFT_MSG_NEWRULE, table, [.create, .append], operation: "add", subject) { writer in
                RulePayload.withAttributes(of: rule, table: table.name, chain: chain.name) {
                    writer.append(attributes: $0)
                }
            }
        }
    }

    mutating func create(counter: String, in table: NFTable) {
        add(NFT_MSG_NEWOBJ, table, [.create], operation: "create", "counter \(counter) of table \(table.subject)") {
            $0.attribute(Int(NFTA_OBJ_TABLE.rawValue), table.name)
            $0.attribute(Int(NFTA_OBJ_NAME.rawValue), counter)
            $0.attribute(Int(NFTA_OBJ_TYPE.rawValue), bigEndian: UInt32(NFT_OBJECT_COUNTER))
            // It begins at nothing counted.
            $0.nested(Int(NFTA_OBJ_DATA.rawValue)) { _ in }
        }
    }

    /// Takes a counter away; nothing may lead to it.
    mutating func delete(counter: String, of table: NFTable) {
        add(NFT_MSG_DELOBJ, table, operation: "delete", "counter \(counter) of table \(table.subject)") {
            $0.attribute(Int(NFTA_OBJ_TABLE.rawValue), table.name)
            $0.attribute(Int(NFTA_OBJ_NAME.rawValue), counter)
            $0.attribute(Int(NFTA_OBJ_TYPE.rawValue), bigEndian: UInt32(NFT_OBJECT_COUNTER))
        }
    }

    private func subject(_ chain: NFChain, _ table: NFTable) -> String {
        "chain \(chain.name) of table \(table.subject)"
    }
}

extension NFChain.Hook {
    /// NF_DROP and NF_ACCEPT.
    fileprivate var policy: UInt32 { accepts ? 1 : 0 }
}

extension NFChain.Hook.Point {
    /// linux/netfilter.h: enum nf_inet_hooks, which the bridge family counts alike, and enum nf_dev_hooks.
    fileprivate var number: UInt32 {
        switch self {
        case .prerouting, .ingress: 0
        case .input, .egress: 1
        case .forward: 2
        case .output: 3
        case .postrouting: 4
        }
    }

    /// The point of this number in this family; nil for one that we use none of.
    init?(number: UInt32, in family: NFTable.Family) {
        switch (number, family == .netdev) {
        case (0, true): self = .ingress
        case (1, true): self = .egress
        case (0, false): self = .prerouting
        case (1, false): self = .input
        case (2, false): self = .forward
        case (3, false): self = .output
        case (4, false): self = .postrouting
        default: return nil
        }
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
