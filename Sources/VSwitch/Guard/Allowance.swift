internal import Manifest
public import Netlink

/// What a NIC may use beside what is its own: a virtual address of several, a network that it routes for.
public struct Allowance: Hashable, Sendable {
    /// Addresses, as networks of their whole width, and networks; none lies in another.
    public var networks: [IPPrefix] = []
    /// MAC addresses from which it may send as from its own.
    public var macs: [MACAddress] = []

    /// Nothing.
    public init() {}

    /// The single addresses.
    var hosts: [IPAddress] { networks.filter(\.isHost).map(\.address) }

    /// The networks of more than one address.
    var subnets: [IPPrefix] { networks.filter { !$0.isHost } }

    /// In the words of the manifest.
    var words: String {
        (networks.map { $0.isHost ? "\($0.address)" : "\($0)" } + macs.map(\.description)).joined(separator: ", ")
    }
}

extension Allowance {
    /// Reads the field `allow` of a NIC.
    init(reading fields: inout Fields) {
        let what = "'allow' of \(fields.subject)"
        var found = Allowance()
        _ = fields.list("allow") { item, diagnostics -> Bool? in
            guard let text = item.string(as: what, diagnostics) else { return nil }
            if let mac = MACAddress(text) {
                found.add(mac, item, diagnostics)
            } else if let network = item.allowedNetwork(text, diagnostics) {
                found.add(network, item, diagnostics)
            }
            return true
        }
        found.networks.sort()
        found.macs.sort()
        self = found
    }

    private mutating func add(_ mac: MACAddress, _ item: Node, _ diagnostics: Diagnostics) {
        guard !mac.isMulticast, !mac.isZero else {
            return diagnostics.report(
                at: item, "\(mac) is no address for an interface", hint: "its first byte must be even, and not all zero"
            )
        }
        guard !macs.contains(mac) else { return diagnostics.report(at: item, "\(mac) is allowed twice") }
        macs.append(mac)
    }

    private mutating func add(_ network: IPPrefix, _ item: Node, _ diagnostics: Diagnostics) {
        func words(_ network: IPPrefix) -> String { network.isHost ? "\(network.address)" : "\(network)" }
        if networks.contains(network) { return diagnostics.report(at: item, "\(words(network)) is allowed twice") }
        if let wider = networks.first(where: { $0.contains(network) }) {
            return diagnostics.report(
                at: item, "\(words(network)) lies in \(wider), which is allowed too", hint: "leave it out")
        }
        if let narrower = networks.first(where: { network.contains($0) }) {
            return diagnostics.report(
                at: item, "\(words(narrower)) lies in \(network), which is allowed too",
                hint: "leave out \(words(narrower))")
        }
        networks.append(network)
    }
}

extension Node {
    /// An address or a network that a NIC may have.
    fileprivate func allowedNetwork(_ text: String, _ diagnostics: Diagnostics) -> IPPrefix? {
        if let fault = IPPrefix.lengthFault(in: text) {
            diagnostics.report(at: self, "\(text.prefix(80)) \(fault)")
            return nil
        }
        guard let prefix = IPPrefix(text) ?? IPAddress(text).map({ IPPrefix(host: $0) }) else {
            diagnostics.report(
                at: self, "'\(text.prefix(80))' is no address, no network and no MAC address",
                hint: "such as 10.10.0.100, fd00:10:5::/64 or 00:00:5e:00:01:07")
            return nil
        }
        guard prefix.isNetwork else {
            diagnostics.report(
                at: self, "\(prefix) has host bits",
                hint: "the network is \(prefix.network), the address alone \(prefix.address)")
            return nil
        }
        guard prefix.length > 0 else {
            let words = prefix.isIPv4 ? "[arp, ipv4]" : "[nd, ipv6]"
            diagnostics.report(
                at: self, "\(prefix) is every address", hint: "to let it send from any, write 'unguarded: \(words)'")
            return nil
        }
        // What no interface may have lies at one end of every network that holds it.
        for address in [prefix.address, prefix.last] {
            guard let fault = address.hostFault else { continue }
            let words = prefix.isHost ? "\(address)" : "\(address) in \(prefix)"
            diagnostics.report(at: self, "\(words) is no address for an interface: \(fault)")
            return nil
        }
        return prefix
    }
}
