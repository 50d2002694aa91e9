internal import Manifest
internal import Netlink
public import Reconcile

/// How an entry of `routers` becomes a router.
public enum RouterSection {
    public static let section = Section("routers") { entry, desired, diagnostics in
        guard ResourceName.check(entry.entry, of: "router", diagnostics) else { return }
        var reader = RouterReader(name: entry.name, diagnostics: diagnostics)
        let spec = reader.read(entry.entry)
        desired.add(
            RouterKind.self, entry.name, spec, references: reader.references, at: entry.entry.keyPosition)
    }

    /// As many ports one forward may name: each is an element of a map in the kernel.
    static let portLimit = 16_384
}

/// Reads one router; collects the switches that it stands on.
private struct RouterReader {
    let name: String
    let diagnostics: Diagnostics
    private(set) var references: [Reference] = []

    init(name: String, diagnostics: Diagnostics) {
        self.name = name
        self.diagnostics = diagnostics
    }

    mutating func read(_ entry: Node.Entry) -> RouterSpec {
        var spec = RouterSpec(name: name)
        var fields = Fields(entry.value, of: "router '\(name)'", diagnostics)
        let interfaces = fields.map("interfaces", required: true) { item, _ in item }
        spec.interfaces = interfaces.map { interface($0) }
        spec.routes = fields.list("routes") { node, _ in route(node) }
        spec.snat = fields.list("snat") { node, _ in sourceNAT(node) }
        spec.forwards = fields.list("forwards") { node, _ in forward(node) }
        fields.finish()
        return spec
    }

    private mutating func interface(_ entry: Node.Entry) -> RouterInterface {
        references.append(Reference(ResourceID("switch", entry.key), at: entry.keyPosition))
        let what = "interface '\(entry.key)' of router '\(name)'"
        var fields = Fields(entry.value, of: what, diagnostics)
        let addresses = fields.list("addresses", required: true) { node, _ -> Placed<IPPrefix>? in
            let expecting = "an address with a prefix length, such as 10.10.0.1/24 or fd00:10::1/64"
            guard let prefix = prefix(node, as: "an address of \(what)", expecting: expecting) else { return nil }
            guard checkHost(prefix, node) else { return nil }
            return Placed(prefix, at: node.position, width: prefix.description.count)
        }
        fields.finish()
        return RouterInterface(switchName: entry.key, addresses: addresses)
    }

    private func route(_ node: Node) -> StaticRoute? {
        var fields = Fields(node, of: "a route of router '\(name)'", diagnostics)
        let destination = fields.node("to", required: true)
        let gateway = fields.address("via")
        let out = fields.switchName("out")
        fields.finish()
        guard let destination, let gateway else { return nil }
        guard let text = destination.string(as: "'to' of a route", diagnostics) else { return nil }
        let place = { (prefix: IPPrefix) in Placed(prefix, at: destination.position, width: text.count) }
        if text == "default" {
            let anywhere: IPAddress = gateway.value.isIPv4 ? .v4(.unspecified) : .v6(.unspecified)
            guard let prefix = IPPrefix(address: anywhere, length: 0) else { return nil }
            return StaticRoute(to: place(prefix), via: gateway, out: out)
        }
        guard let prefix = network(destination, as: "'to' of a route", or: "or 'default'") else { return nil }
        guard prefix.isIPv4 == gateway.value.isIPv4 else {
            diagnostics.report(
                at: gateway.position, width: gateway.width, "a route to \(prefix) cannot go via \(gateway.value)",
                hint: "both must be IPv4, or both IPv6")
            return nil
        }
        return StaticRoute(to: place(prefix), via: gateway, out: out)
    }

    private func sourceNAT(_ node: Node) -> SourceNAT? {
        var fields = Fields(node, of: "an 'snat' of router '\(name)'", diagnostics)
        let from = fields.node("from", required: true)
        let out = fields.switchName("out", required: true)
        let address = fields.address("to", required: false)
        fields.finish()
        guard let from, let out, let source = network(from, as: "'from' of an 'snat'") else { return nil }
        if let address, address.value.isIPv4 != source.isIPv4 {
            diagnostics.report(
                at: address.position, width: address.width,
                "packets from \(source) cannot get the source \(address.value)",
                hint: "both must be IPv4, or both IPv6")
            return nil
        }
        let placed = Placed(source, at: from.position, width: source.description.count)
        return SourceNAT(from: placed, out: out, to: address)
    }

    private func forward(_ node: Node) -> PortForward? {
        var fields = Fields(node, of: "a 'forwards' item of router '\(name)'", diagnostics)
        let listen = fields.address("listen")
        let transport = fields.choice("protocol", PortForward.Transport.self, required: true)
        let ports = fields.placed("port", PortRange.self, expecting: "a port, or ports such as 8000-8010")
        let target = fields.placed(
            "to", ForwardTarget.self, expecting: "an address with a port, such as 10.10.0.10:443 or [fd00:10::10]:443")
        fields.finish()
        guard let listen, let transport, let ports, let target else { return nil }
        let forward = PortForward(listen: listen, transport: transport, ports: ports, to: target)
        return check(forward) ? forward : nil
    }
}

// MARK: Checks of single values

extension RouterReader {
    /// Whether an interface may have the address.
    private func checkHost(_ prefix: IPPrefix, _ node: Node) -> Bool {
        let address = prefix.address
        if let reason = address.hostFault {
            diagnostics.report(at: node, "\(prefix) cannot be a router's address: \(reason)")
            return false
        }
        let isWide = prefix.length < address.bitWidth - 1
        if prefix.length == 0 || isWide && prefix.isNetwork {
            let hint = "write the router's own address in it, often the first one, with the same /\(prefix.length)"
            diagnostics.report(at: node, "\(prefix) names the network, not an address in it", hint: hint)
            return false
        }
        if case .v4(let v4) = prefix, isWide, v4.address == v4.last {
            diagnostics.report(at: node, "\(prefix) is the broadcast address of its network")
            return false
        }
        if case .v6(let v6) = address, v6.isLinkLocal {
            diagnostics.report(
                at: node, "\(address) is link-local", hint: "leave it out: each IPv6 interface gets one by itself")
            return false
        }
        return true
    }

    /// An address with a prefix length, host bits kept.
    private func prefix(_ node: Node, as what: String, expecting: String) -> IPPrefix? {
        if case .scalar(let text, _) = node.content, let fault = IPPrefix.lengthFault(in: text) {
            diagnostics.report(at: node, "\(text.prefix(80)) \(fault)")
            return nil
        }
        return node.value(IPPrefix.self, as: what, expecting: expecting, diagnostics)
    }

    /// A network without host bits.
    private func network(_ node: Node, as what: String, or other: String = "") -> IPPrefix? {
        let expecting = "a network such as 10.10.0.0/24 or fd00:10::/64 \(other)"
        guard let prefix = prefix(node, as: what, expecting: expecting) else { return nil }
        guard prefix.isNetwork else {
            diagnostics.report(at: node, "\(prefix) has host bits set", hint: "did you mean \(prefix.network)?")
            return nil
        }
        return prefix
    }

    private func check(_ forward: PortForward) -> Bool {
        let (listen, ports, target) = (forward.listen.value, forward.ports, forward.target)
        if let reason = listen.hostFault {
            report(forward.listen, "\(listen) cannot be listened on: \(reason)")
            return false
        }
        if let reason = target.value.address.hostFault {
            report(target, "\(target.value.address) cannot be forwarded to: \(reason)")
            return false
        }
        guard listen.isIPv4 == target.value.address.isIPv4 else {
            report(
                target, "\(listen) cannot be forwarded to \(target.value.address)", "both must be IPv4, or both IPv6")
            return false
        }
        guard ports.value.count <= RouterSection.portLimit else {
            let limit = RouterSection.portLimit
            report(
                ports, "\(ports.value.count) ports in one forward",
                "at most \(limit); give the target an address of its own")
            return false
        }
        let last = Int(forward.firstTargetPort) + ports.value.count - 1
        guard last <= Int(UInt16.max) else {
            report(target, "ports \(ports.value) would lead to port \(last)", "the last port there is is 65535")
            return false
        }
        return true
    }

    private func report<Value>(_ placed: Placed<Value>, _ message: String, _ hint: String = "") {
        diagnostics.report(at: placed.position, width: placed.width, message, hint: hint)
    }
}

extension Fields {
    fileprivate mutating func address(_ key: String, required: Bool = true) -> Placed<IPAddress>? {
        placed(key, IPAddress.self, expecting: "an address such as 10.10.0.1 or fd00:10::1", required: required)
    }

    fileprivate mutating func switchName(_ key: String, required: Bool = false) -> Placed<String>? {
        guard let (name, position) = reference(key, required: required) else { return nil }
        return Placed(name, at: position, width: name.count)
    }

    fileprivate mutating func placed<Value: LosslessStringConvertible & Hashable & Sendable>(
        _ key: String, _ type: Value.Type, expecting: String, required: Bool = true
    ) -> Placed<Value>? {
        guard let node = node(key, required: required) else { return nil }
        let what = "'\(key)' of \(subject)"
        guard let value = node.value(type, as: what, expecting: expecting, diagnostics) else { return nil }
        return Placed(value, at: node.position, width: value.description.count)
    }
}
