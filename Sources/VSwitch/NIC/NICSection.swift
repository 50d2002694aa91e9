public import Manifest
internal import Netlink
public import Reconcile

extension NICKind {
    /// Reads the field `nics` of one VM. The section `vms` has other fields too, which others read.
    ///
    /// - Returns: the NICs that were put into `desired`, in the order of the manifest, and their rates.
    public static func readNICs(
        of machine: String, _ fields: inout Fields, into desired: inout Desired
    ) -> [ResourceID] {
        var reader = NICReader(machine: machine)
        var found: [NICReader.Found] = []
        _ = fields.list("nics") { item, diagnostics -> Bool? in
            if let nic = reader.read(item, diagnostics) { found.append(nic) }
            return true
        }
        for nic in found {
            let target = Reference(SwitchKind.id(nic.spec.switchName), at: nic.switchPosition)
            desired.add(
                NICKind.self, nic.spec.resourceName, nic.spec, references: [target] + nic.groups, at: nic.position)
        }
        return found.flatMap { nic in
            [NICKind.id(nic.spec.resourceName), nic.rate.flatMap { nic.spec.add($0, into: &desired) }].compactMap(
                \.self)
        }
    }
}

/// Reads the NICs of one VM, one after the other: names and far ends count from 0.
private struct NICReader {
    struct Found {
        let spec: NICSpec
        let position: Position
        let switchPosition: Position
        let groups: [Reference]
        let rate: RateRequest?
    }

    let machine: String
    private var count = 0
    private var names: Set<String> = []
    /// How many NICs of this VM land in each namespace so far.
    private var farEnds: [String: Int] = [:]

    init(machine: String) { self.machine = machine }

    mutating func read(_ item: Node, _ diagnostics: Diagnostics) -> Found? {
        let index = count
        count += 1
        var fields = Fields(item, of: "nic \(index + 1) of vm '\(machine)'", diagnostics)
        let name = readName(&fields, index, item)
        let network = fields.reference("switch", required: true)
        let interface = fields.value(
            "interface", InterfaceName.self,
            expecting: "an interface name of at most 15 bytes without '/', ':', '%' and blanks")
        let mac = readMAC(&fields)
        let mtu = fields.int("mtu", in: 68...65_521)
        let addresses = fields.list("address") { Self.readAddress($0, $1) }
        let attachment = readAttachment(&fields, addresses)
        let groups = readGroups(&fields)
        let port = PortSettings(reading: &fields)
        let vlans = readVLANs(&fields, port)
        let exemption = Exemption(reading: &fields, isBound: fields.has("address"), port)
        let rate = RateRequest(reading: &fields)
        let codePoint = fields.value(
            "dscp", CodePoint.self, expecting: "a code point: cs0 to cs7, af11 to af43, ef, va, le, or 0 to 63")
        fields.finish()
        guard let name, let network, let attachment else { return nil }
        var spec = NICSpec(
            machine: machine, name: name, switchName: network.name, interface: interface, mac: mac,
            addresses: addresses, groups: groups.map(\.target.name), mtu: mtu.map { UInt32($0) },
            attachment: attachment)
        spec.change { fields in
            fields.port = port
            fields.vlans = vlans
            fields.allow = exemption.allow
            fields.unguarded = exemption.unguarded
            fields.codePoint = codePoint
            fields.guarantee = rate?.guarantee
        }
        return Found(
            spec: spec, position: item.position, switchPosition: network.position, groups: groups, rate: rate)
    }

    /// Sorted, so that NICs with the same groups have the same policy.
    private func readGroups(_ fields: inout Fields) -> [Reference] {
        let node = fields.node("groups")
        let what = "'groups' of \(fields.subject)"
        var groups: [Reference] = []
        _ = fields.list("groups") { item, diagnostics -> Bool? in
            guard let name = item.string(as: what, diagnostics) else { return nil }
            if groups.contains(where: { $0.target.name == name }) {
                diagnostics.report(at: item, "group '\(name)' is named twice", hint: "once is enough")
            }
            // A group that the kernel refuses is closed: its NICs may be there.
            groups.append(Reference(GroupKind.id(name), at: item.position, isVital: false))
            return true
        }
        if let node, case .sequence(let items) = node.content, items.isEmpty {
            fields.diagnostics.report(
                at: node, "\(what) names none",
                hint:
                    "a nic that nobody may reach has a group without rules; one that is open to all leaves 'groups' out"
            )
        }
        return groups.sorted { $0.target.name < $1.target.name }
    }

    /// Nil where it names none.
    private func readVLANs(_ fields: inout Fields, _ port: PortSettings) -> PortVLANs? {
        let native = fields.int("vlan", in: 1...4094).map { UInt16($0) }
        guard let node = fields.node("trunk") else { return native.map { PortVLANs(untagged: $0) } }
        let what = "'trunk' of \(fields.subject)"
        let ranges = fields.list("trunk") { item, diagnostics -> VLANRange? in
            item.value(VLANRange.self, as: what, expecting: "a VLAN, 1 to 4094, or a range such as 30-40", diagnostics)
        }
        let diagnostics = fields.diagnostics
        if case .sequence(let items) = node.content, items.isEmpty {
            diagnostics.report(at: node, "\(what) names none", hint: "leave it out, or name the VLANs that come tagged")
        }
        for field in ["address", "groups"] where fields.has(field) {
            diagnostics.report(
                at: node, "a nic with 'trunk' cannot have '\(field)'",
                hint: "it is held to its MAC and to its VLANs; what is to be held to more has a nic with 'vlan'")
        }
        if port.learning == .fixed {
            diagnostics.report(
                at: node, "a nic with 'trunk' cannot have 'learning: static'",
                hint: "leave 'learning' out: it may send from no MAC but its own anyway")
        }
        let tagged = VLANSet(ranges)
        if let native, tagged.contains(native) {
            diagnostics.report(
                at: node, "VLAN \(native) cannot come both with its tag and without",
                hint: "take it out of 'trunk', or leave 'vlan' out")
        }
        return PortVLANs(untagged: native, tagged: tagged)
    }

    private mutating func readName(_ fields: inout Fields, _ index: Int, _ item: Node) -> String? {
        let node = fields.node("name")
        let given = node?.string(as: "'name' of \(fields.subject)", fields.diagnostics)
        if node != nil, given == nil { return nil }
        let name = given ?? "net\(index)"
        guard ResourceName.isPlain(name) else {
            fields.diagnostics.report(
                at: node ?? item, "'\(name.prefix(80))' cannot name a nic",
                hint: "letters, digits, '-', '_' and '.', at most 63, beginning with a letter or a digit")
            return nil
        }
        guard names.insert(name).inserted else {
            fields.diagnostics.report(
                at: node ?? item, "vm '\(machine)' has two nics named '\(name)'",
                hint: "a nic without a name is net0, net1 and so on by its place")
            return nil
        }
        return name
    }

    private func readMAC(_ fields: inout Fields) -> MACAddress? {
        guard let node = fields.node("mac") else { return nil }
        let expecting = "a MAC address such as 52:54:00:12:34:56"
        let what = "'mac' of \(fields.subject)"
        let mac = node.value(MACAddress.self, as: what, expecting: expecting, fields.diagnostics)
        guard let mac, mac.isMulticast || mac.isZero else { return mac }
        fields.diagnostics.report(
            at: node, "\(mac) is no address for an interface",
            hint: "its first byte must be even, 02 for an address of your own, and not all may be zero")
        return nil
    }

    private static func readAddress(_ item: Node, _ diagnostics: Diagnostics) -> NICSpec.Address? {
        guard let text = item.string(as: "'address'", diagnostics) else { return nil }
        let address: NICSpec.Address
        if let prefix = IPPrefix(text) {
            address = NICSpec.Address(prefix.address, length: prefix.length)
        } else if let host = IPAddress(text) {
            address = NICSpec.Address(host)
        } else if let fault = IPPrefix.lengthFault(in: text) {
            diagnostics.report(at: item, "\(text.prefix(80)) \(fault)")
            return nil
        } else {
            diagnostics.report(
                at: item, "'\(text.prefix(80))' is not an address",
                hint: "write 10.10.0.10, fd00:10::10, or either with a prefix length: 10.10.0.10/24")
            return nil
        }
        if let fault = address.address.hostFault {
            diagnostics.report(at: item, "\(address.address) is no address for an interface: \(fault)")
            return nil
        }
        if address.isEdge {
            diagnostics.report(
                at: item, "\(text) is the network's own or its broadcast address", hint: "choose one between the two")
            return nil
        }
        return address
    }

    private mutating func readAttachment(
        _ fields: inout Fields, _ addresses: [NICSpec.Address]
    ) -> NICSpec.Attachment? {
        let owner = fields.node("owner")
        let gateway = fields.node("gateway")
        let gateways = fields.list("gateway") { item, diagnostics -> IPAddress? in
            let expecting = "an address such as 10.10.0.1"
            return item.value(IPAddress.self, as: "'gateway'", expecting: expecting, diagnostics)
        }
        guard let namespace = fields.node("namespace") else {
            if let gateway {
                fields.diagnostics.report(
                    at: gateway, "'gateway' is for a nic in a namespace", hint: "a VM sets its gateway itself")
            }
            return readOwner(owner, fields).map { .tap(owner: $0) }
        }
        if let owner {
            fields.diagnostics.report(at: owner, "'owner' is for a tap", hint: "leave out 'owner' or 'namespace'")
        }
        for gateway in gateways where !addresses.contains(where: { $0.address.isIPv4 == gateway.isIPv4 }) {
            let family = gateway.isIPv4 ? "IPv4" : "IPv6"
            fields.diagnostics.report(
                at: fields.position, "gateway \(gateway) needs an \(family) address on the nic",
                hint: "add one to 'address'")
        }
        guard let name = readNamespace(namespace, fields) else { return nil }
        let place = farEnds[name, default: 0]
        farEnds[name] = place + 1
        return .namespace(name, farEnd: .derived(from: "eth\(place)"), gateways: gateways)
    }

    /// Nil after a mistake; no owner is no mistake.
    private func readOwner(_ node: Node?, _ fields: borrowing Fields) -> NICSpec.Owner?? {
        guard let node else { return .some(nil) }
        guard let text = node.string(as: "'owner' of \(fields.subject)", fields.diagnostics) else { return nil }
        // The highest number stands for "nobody" in the kernel.
        if let number = UInt32(text), number != .max { return .some(.number(number)) }
        if text.isEmpty || text.utf8.allSatisfy({ $0 &- UInt8(ascii: "0") < 10 }) || text.count > 256 {
            fields.diagnostics.report(at: node, "'\(text.prefix(60))' is no user", hint: "a user's name or number")
            return nil
        }
        return .some(.name(text))
    }

    private func readNamespace(_ node: Node, _ fields: borrowing Fields) -> String? {
        guard let text = node.string(as: "'namespace' of \(fields.subject)", fields.diagnostics) else { return nil }
        let isPath = text.hasPrefix("/") && !text.utf8.contains(0)
        let isPlain = !text.contains("/") && !text.utf8.contains(0) && text.utf8.count < 256
        let isName = isPlain && text != "." && text != ".."
        if !text.isEmpty, isPath || isName { return text }
        fields.diagnostics.report(
            at: node, "'\(text.prefix(60))' is no network namespace",
            hint: "a name as `ip netns list` shows it, or an absolute path such as /proc/123/ns/net")
        return nil
    }
}

extension NICSpec.Address {
    /// The lowest address of its network, or the IPv4 broadcast address: neither is a host's (RFC 1122 section 3.2.1.3,
    /// RFC 4291 section 2.6.1).
    var isEdge: Bool {
        switch (address, prefix) {
        case (.v4(let host), .v4(let network)) where network.length < 31:
            network.isNetwork || host == network.last
        case (.v6, .v6(let network)) where network.length < 127: network.isNetwork
        default: false
        }
    }
}
