public import Netlink

/// A virtual router as the manifest asks for it: addresses on switches, routes, and what it translates.
public struct RouterSpec: Hashable, Sendable {
    /// Its name in the manifest.
    public let name: String
    /// In the order of the manifest; no switch twice.
    public var interfaces: [RouterInterface]
    public var routes: [StaticRoute]
    public var snat: [SourceNAT]
    public var forwards: [PortForward]

    public init(
        name: String, interfaces: [RouterInterface] = [], routes: [StaticRoute] = [], snat: [SourceNAT] = [],
        forwards: [PortForward] = []
    ) {
        self.name = name
        self.interfaces = interfaces
        self.routes = routes
        self.snat = snat
        self.forwards = forwards
    }

    /// The bridges between which it forwards packets of this version of IP.
    public func bridges(isIPv4: Bool) -> [String] {
        interfaces.filter { $0.speaks(isIPv4: isIPv4) }.map(\.bridge.description)
    }

    /// The interface on a switch.
    func interface(on switchName: String) -> RouterInterface? { interfaces.first { $0.switchName == switchName } }

    /// The interface in one of whose subnets the address lies.
    func interface(reaching address: IPAddress) -> RouterInterface? {
        interfaces.first { $0.addresses.contains { $0.value.contains(address) } }
    }
}

/// A router's leg on a switch.
public struct RouterInterface: Hashable, Sendable {
    public let switchName: String
    /// With the prefix length of the subnet, host bits kept.
    public var addresses: [Placed<IPPrefix>]
    /// The MAC address of the switch's bridge; nil before `resolution`.
    public var mac: MACAddress?

    public init(switchName: String, addresses: [Placed<IPPrefix>]) {
        self.switchName = switchName
        self.addresses = addresses
    }

    /// The link that has the addresses: the switch's bridge.
    public var bridge: InterfaceName { .derived(from: switchName) }

    /// What that link's alias is, if it is the switch's.
    var bridgeAlias: String { OwnershipMark.alias(kind: "switch", name: switchName) }

    /// Whether it has an address of this family.
    func speaks(isIPv4: Bool) -> Bool { addresses.contains { $0.value.isIPv4 == isIPv4 } }
}

/// A route to what no interface is on.
public struct StaticRoute: Hashable, Sendable {
    /// A network, host bits zero; length 0 is the default route.
    public var destination: Placed<IPPrefix>
    /// The next hop.
    public var gateway: Placed<IPAddress>
    /// The switch of a next hop that is link-local; nil where the subnets tell.
    public var out: Placed<String>?

    public init(to destination: Placed<IPPrefix>, via gateway: Placed<IPAddress>, out: Placed<String>? = nil) {
        self.destination = destination
        self.gateway = gateway
        self.out = out
    }
}

/// Translation of the source of what leaves by an interface.
public struct SourceNAT: Hashable, Sendable {
    /// The network whose packets are translated, host bits zero.
    public var source: Placed<IPPrefix>
    /// The switch by which they leave.
    public var out: Placed<String>
    /// The new source; nil for the interface's own address (masquerade).
    public var address: Placed<IPAddress>?

    public init(from source: Placed<IPPrefix>, out: Placed<String>, to address: Placed<IPAddress>? = nil) {
        self.source = source
        self.out = out
        self.address = address
    }
}

/// A port, or several in a row, of one address that lead to another.
public struct PortForward: Hashable, Sendable {
    /// By the number in an IP header.
    public enum Transport: String, CaseIterable, Hashable, Sendable {
        case tcp, udp

        var number: UInt8 { self == .tcp ? 6 : 17 }
    }

    public var listen: Placed<IPAddress>
    public var transport: Transport
    public var ports: Placed<PortRange>
    public var target: Placed<ForwardTarget>

    public init(
        listen: Placed<IPAddress>, transport: Transport, ports: Placed<PortRange>, to target: Placed<ForwardTarget>
    ) {
        self.listen = listen
        self.transport = transport
        self.ports = ports
        self.target = target
    }

    /// The port to which the first port leads; the others follow in order.
    var firstTargetPort: UInt16 { target.value.port ?? ports.value.first }
}

/// Where a forward leads: `10.10.0.10:443`, `[fd00:10::10]:443`, or an address alone, which keeps the port.
public struct ForwardTarget: Hashable, Sendable, LosslessStringConvertible {
    public let address: IPAddress
    public let port: UInt16?

    public init(_ address: IPAddress, port: UInt16? = nil) {
        self.address = address
        self.port = port
    }

    public init?(_ description: String) {
        if let address = IPAddress(description) {
            self.init(address)
            return
        }
        guard let colon = description.lastIndex(of: ":") else { return nil }
        guard let port = PortRange.port(description[description.index(after: colon)...]) else { return nil }
        var host = description[..<colon]
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        if isBracketed { host = host.dropFirst().dropLast() }
        guard let address = IPAddress(String(host)), address.isIPv4 != isBracketed else { return nil }
        self.init(address, port: port)
    }

    public var description: String { Self.text(address, port) }

    /// An address with a port, as the manifest writes it.
    static func text(_ address: IPAddress, _ port: UInt16?) -> String {
        guard let port else { return "\(address)" }
        return address.isIPv4 ? "\(address):\(port)" : "[\(address)]:\(port)"
    }
}
