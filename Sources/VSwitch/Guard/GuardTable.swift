internal import Netlink

/// The bridge-family table that holds every NIC to its own addresses, compiled from all NICs at once.
///
/// Chains and rules are the same for one NIC and for thousands: a NIC is a handful of elements in named sets, keyed by
/// interface name, so that its policy is in the kernel before its interface is.
///
///     ports    interface            every guarded port; others pass untouched
///     bindm    interface . MAC      the MACs it may send from, and name in ARP and neighbour discovery
///     bound    interface            ports that are held to IP addresses: those whose NIC has any
///     bind4    interface . MAC . IPv4   the addresses it may send from and claim by ARP, with each of those MACs
///     bind6    interface . MAC . IPv6   the same for IPv6, and the link-local addresses of its MACs (RFC 4291, EUI-64)
///     free4    interface . IPv4     the same addresses, of ports that may send from any MAC
///     free6    interface . IPv6
///     nets4    interface . IPv4…    networks of such addresses, where any NIC is allowed one
///     nets6    interface . IPv6…
///     unguarded-…    interface      ports that are let off one guard
///
/// `DenialChains` tells of the sets in which refused packets are counted.
///
/// A NIC without addresses is held to its MAC only, and may not act as a router or a DHCP server. Ethertypes other than
/// ARP, IPv4 and IPv6 are dropped, and so are tagged frames but those of trunk ports, of which `TrunkChains` tells: a
/// tag would carry a packet past every check.
enum GuardTable {
    static let family = NFTable.Family.bridge
    static let name = "sdagent"
    /// The ownership mark.
    static let comment = "sdagent guard"
    /// The sets of the addresses that ports are held to.
    static let bindings = ["bind4", "bind6", "nets4", "nets6"] + free
    /// Those of ports that are let off the guard against others' MACs.
    static let free = ["free4", "free6"]

    /// - Parameters:
    ///   - policy: what the groups of the NICs say; `PolicyTable` tells of its sets and chains.
    ///   - keeping: further ports, held to what they are held to in `seen`; to nothing where it does not know them.
    ///   - shutting: ports that nothing is taken from.
    static func compile(
        _ nics: some Collection<NICSpec>, _ policy: Policy = Policy(), keeping: Set<InterfaceName> = [],
        of seen: NFTable? = nil, shutting: Set<InterfaceName> = []
    ) -> NFTable {
        var bindings = Bindings()
        for nic in nics { bindings.add(nic) }
        for port in keeping.union(shutting) { bindings.add(port) }
        let leaving = keeping.filter { PolicyTable.judges($0, in: seen) }.union(shutting)
        let (policySets, policyChains) = PolicyTable.compile(nics, policy, shutting: leaving)
        let trunks = TrunkChains.compile(nics, divided: policy.divided)
        // Those of the groups are there as soon as any NIC has one, as the chains that lead to them.
        let denials = DenialChains.compile(DenialReason.allCases.filter { $0.isOfGuard || !policyChains.isEmpty })
        let sets = bindings.sets.map { set in
            var set = set
            if !keeping.isEmpty { set.keep(keeping, of: seen?.sets[set.name]) }
            return set
        }
        return NFTable(
            family: family, name: name, comment: comment, sets: sets + denials.sets + trunks.sets + policySets,
            chains: GuardChains.all(trunks) + policyChains + denials.chains)
    }
}

extension GuardTable {
    /// The sets of the guard with the elements of one NIC only.
    static func bindings(of nic: NICSpec) -> [NFSet] {
        var bindings = Bindings()
        bindings.add(nic)
        return bindings.sets
    }
}

/// The elements that NICs are.
private struct Bindings {
    private var ports = NFSet("ports", key: [.interfaceName])
    private var bound = NFSet("bound", key: [.interfaceName])
    private var macs = NFSet("bindm", key: [.interfaceName, .etherAddress])
    private var ipv4 = NFSet("bind4", key: [.interfaceName, .etherAddress, .ipv4Address])
    private var ipv6 = NFSet("bind6", key: [.interfaceName, .etherAddress, .ipv6Address])
    private var free4 = NFSet("free4", key: [.interfaceName, .ipv4Address])
    private var free6 = NFSet("free6", key: [.interfaceName, .ipv6Address])
    private var ranges: (ipv4: [NFRange], ipv6: [NFRange]) = ([], [])
    private var exceptions = Dictionary(
        uniqueKeysWithValues: Guard.allCases.map { ($0, NFSet($0.exceptions, key: [.interfaceName])) })

    /// A port that is nobody's: nothing is taken from it.
    mutating func add(_ port: InterfaceName) { ports.insert(NFKey(.interface(port))) }

    mutating func add(_ nic: NICSpec) {
        let port = NFValue.interface(nic.interface)
        ports.insert(NFKey(port))
        // What this kernel cannot have sends nothing.
        guard nic.refusal == nil else { return }
        let own = [nic.mac] + nic.allow.macs
        for mac in own { macs.insert(NFKey(port, .mac(mac))) }
        for word in nic.unguarded { exceptions[word]?.insert(NFKey(port)) }
        guard !nic.addresses.isEmpty else { return }
        bound.insert(NFKey(port))
        let isFree = nic.unguarded.contains(.mac)
        for mac in own { bind(port, own, .v6(.linkLocal(of: mac)), isFree) }
        for held in nic.addresses { bind(port, own, held.address, isFree) }
        for network in nic.allow.networks {
            if network.isHost {
                bind(port, own, network.address, isFree)
            } else if network.isIPv4 {
                ranges.ipv4.append(NFRange(.one(port), .network(network)))
            } else {
                ranges.ipv6.append(NFRange(.one(port), .network(network)))
            }
        }
    }

    private mutating func bind(_ port: NFValue, _ macs: [MACAddress], _ address: IPAddress, _ isFree: Bool) {
        for mac in macs {
            let key = NFKey(port, .mac(mac), .address(address))
            if address.isIPv4 { ipv4.insert(key) } else { ipv6.insert(key) }
        }
        guard isFree else { return }
        let key = NFKey(port, .address(address))
        if address.isIPv4 { free4.insert(key) } else { free6.insert(key) }
    }

    var sets: [NFSet] {
        var nets4 = NFSet("nets4", key: [.interfaceName, .ipv4Address], form: .ranges)
        var nets6 = NFSet("nets6", key: [.interfaceName, .ipv6Address], form: .ranges)
        nets4.insert(ranges.ipv4)
        nets6.insert(ranges.ipv6)
        return [ports, bound, macs, ipv4, ipv6, free4, free6, nets4, nets6]
            + Guard.allCases.compactMap { exceptions[$0] }
    }
}

extension NFSet {
    /// Takes over the elements of some ports from the same set of another table: keys that begin with the port's name.
    fileprivate mutating func keep(_ ports: Set<InterfaceName>, of other: NFSet?) {
        guard let other, other.key == key, other.form == form else { return }
        let names = Set(ports.map { NFKey(.interface($0)).bytes })
        func isKept(_ key: NFKey) -> Bool { names.contains(Array(key.bytes.prefix(16))) }
        elements.merge(other.elements.filter { isKept($0.key) }) { new, _ in new }
        ranges.merge(other.ranges.filter { isKept($0.key.first) }) { new, _ in new }
    }
}
