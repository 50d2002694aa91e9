internal import Manifest
internal import Netlink
public import Reconcile

extension GroupKind {
    /// The section `groups` of the manifest.
    public static let section = Section("groups") { entry, desired, diagnostics in
        guard ResourceName.check(entry.entry, of: name, diagnostics) else { return }
        var fields = Fields(entry.entry.value, of: "group '\(entry.name)'", diagnostics)
        var reader = GroupReader(group: entry.name)
        let ingress = reader.read("ingress", .ingress, &fields)
        let egress = reader.read("egress", .egress, &fields)
        let liveFlows = LiveFlows.read(&fields)
        fields.finish()
        desired.add(
            GroupKind.self, entry.name,
            GroupSpec(name: entry.name, ingress: ingress, egress: egress, liveFlows: liveFlows),
            references: reader.references, at: entry.entry.keyPosition)
    }
}

extension AddressSetKind {
    /// The section `addressSets` of the manifest: a list of networks and addresses for each.
    public static let section = Section("addressSets") { entry, desired, diagnostics in
        guard ResourceName.check(entry.entry, of: "address set", diagnostics) else { return }
        let items: [Node]
        switch entry.entry.value.content {
        case .sequence(let nodes): items = nodes
        case .scalar where entry.entry.value.isNull: items = []
        case .scalar: items = [entry.entry.value]
        case .mapping:
            diagnostics.report(
                at: entry.entry.value, "address set '\(entry.name)' must be a list, not a mapping",
                hint: "write '\(entry.name): [192.0.2.0/24, \"2001:db8::/32\"]'")
            items = []
        }
        let members = items.compactMap { $0.network(of: "address set '\(entry.name)'", diagnostics) }
        desired.add(
            AddressSetKind.self, entry.name, AddressSetSpec(name: entry.name, members: Set(members).sorted()),
            at: entry.entry.keyPosition)
    }
}

/// Reads the rules of one group, and collects whom they name.
private struct GroupReader {
    let group: String
    private(set) var references: [Reference] = []

    init(group: String) { self.group = group }

    mutating func read(_ key: String, _ direction: Direction, _ fields: inout Fields) -> [GroupRule] {
        var found: [Reference] = []
        let rules = fields.list(key) { item, diagnostics -> GroupRule? in
            let what = "an \(direction) rule of group '\(group)'"
            var fields = Fields(item, of: what, diagnostics)
            let traffic = TrafficReader(what: what).read(&fields)
            let peers = fields.list(direction == .ingress ? "from" : "to") { node, diagnostics in
                Self.peer(node, what, &found, diagnostics)
            }
            let hasPeers = fields.has(direction == .ingress ? "from" : "to")
            fields.finish()
            // A rule whose peers were all mistaken must not become one for everybody; there is a diagnostic already.
            guard let traffic, !hasPeers || !peers.isEmpty else { return nil }
            return GroupRule(traffic, peers: peers)
        }
        references += found
        return rules
    }

    private static func peer(
        _ node: Node, _ what: String, _ found: inout [Reference], _ diagnostics: Diagnostics
    ) -> Peer? {
        guard case .mapping = node.content else { return node.network(of: what, diagnostics).map { .network($0) } }
        var fields = Fields(node, of: "a peer of \(what)", diagnostics)
        let group = fields.reference("group")
        let set = fields.reference("set")
        fields.finish()
        switch (group, set) {
        case (let group?, nil):
            found.append(Reference(GroupKind.id(group.name), at: group.position))
            return .group(group.name)
        case (nil, let set?):
            found.append(Reference(AddressSetKind.id(set.name), at: set.position))
            return .set(set.name)
        case (nil, nil), (_?, _?):
            diagnostics.report(
                at: node, "a peer is an address, a network, a group or a set",
                hint: "write 10.0.0.0/8, { group: NAME } or { set: NAME }")
            return nil
        }
    }
}

/// Reads `protocol`, `ports` and `types` of a rule.
private struct TrafficReader {
    let what: String

    func read(_ fields: inout Fields) -> Traffic? {
        let word = fields.node("protocol", required: true)
        let portsNode = fields.node("ports")
        let ports = fields.list("ports") { item, diagnostics in
            item.value(
                PortRange.self, as: "'ports' of \(what)", expecting: "a port, or ports such as 8000-8010", diagnostics)
        }
        let typesNode = fields.node("types")
        guard let word, let text = word.string(as: "'protocol' of \(what)", fields.diagnostics) else { return nil }
        if text == "any" {
            guard refuse(portsNode, typesNode, text, fields.diagnostics) else { return nil }
            return .any
        }
        guard let number = IPProtocol(text) else {
            fields.diagnostics.report(
                at: word, "'\(text.prefix(60))' is no protocol",
                hint: Fields.suggestion(for: text, in: ["any", "a number from 0 to 255"] + IPProtocol.words.keys))
            return nil
        }
        if number == .icmp || number == .icmpv6 { return messages(number, portsNode, typesNode, &fields) }
        guard refuse(number.hasPorts ? nil : portsNode, typesNode, text, fields.diagnostics) else { return nil }
        guard portsNode != nil else { return .whole(number) }
        return ports.isEmpty ? nil : .ports(number, PortRange.merged(ports))
    }

    private func messages(
        _ number: IPProtocol, _ ports: Node?, _ types: Node?, _ fields: inout Fields
    ) -> Traffic? {
        guard refuse(ports, nil, "\(number)", fields.diagnostics) else { return nil }
        guard types != nil else { return .whole(number) }
        let isIPv4 = number == .icmp
        let messages = fields.list("types") { item, diagnostics -> ICMPMessage? in
            guard let text = item.string(as: "'types' of \(what)", diagnostics) else { return nil }
            if let message = ICMPMessage(text, isIPv4: isIPv4) { return message }
            let words = (isIPv4 ? ICMPMessage.ipv4Words : ICMPMessage.ipv6Words).keys.sorted()
            diagnostics.report(
                at: item, "'\(text.prefix(60))' is no \(number) type",
                hint: words.joined(separator: ", ") + ", a number, or a number with a code such as 3/4")
            return nil
        }
        return messages.isEmpty ? nil : .messages(isIPv4: isIPv4, Set(messages).sorted())
    }

    /// Reports a field that does not go with the protocol; whether there is none.
    private func refuse(_ ports: Node?, _ types: Node?, _ word: String, _ diagnostics: Diagnostics) -> Bool {
        if let ports {
            diagnostics.report(at: ports, "\(word) has no ports", hint: "ports go with tcp, udp and sctp")
        }
        if let types {
            diagnostics.report(at: types, "\(word) has no types", hint: "types go with icmp and icmpv6")
        }
        return ports == nil && types == nil
    }
}

extension Node {
    /// A network, or an address alone.
    fileprivate func network(of what: String, _ diagnostics: Diagnostics) -> IPPrefix? {
        guard let text = string(as: "an address of \(what)", diagnostics) else { return nil }
        let prefix = IPPrefix(text) ?? IPAddress(text).map { IPPrefix(host: $0) }
        guard let prefix else {
            diagnostics.report(
                at: self, "'\(text.prefix(80))' is no address and no network",
                hint: "such as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32")
            return nil
        }
        guard prefix.isNetwork else {
            diagnostics.report(at: self, "\(prefix) has host bits", hint: "the network is \(prefix.network)")
            return nil
        }
        return prefix
    }
}

extension PortRange {
    /// Sorted, and those that touch or overlap made one.
    static func merged(_ ranges: [PortRange]) -> [PortRange] {
        var merged: [PortRange] = []
        for range in ranges.sorted(by: { ($0.first, $0.last) < ($1.first, $1.last) }) {
            guard let last = merged.last, Int(range.first) <= Int(last.last) + 1 else {
                merged.append(range)
                continue
            }
            merged[merged.count - 1] = PortRange(last.first, max(last.last, range.last))
        }
        return merged
    }
}
