internal import Netlink

/// The bridge-family table that holds every NIC to its own addresses, compiled from all NICs at once.
///
/// Chains and rules are the same for one NIC and for thousands: a NIC is a handful of elements in named sets, keyed by
/// interface name, so that its policy is in the kernel before its interface is.
///
///     ports    interface                  every guarded port; others pass untouched
///     bindm    interface . MAC            the MAC it may send from, and name in ARP and neighbour discovery
///     bound    interface                  ports that are held to IP addresses: those whose NIC has any
///     bind4    interface . MAC . IPv4     the IPv4 addresses it may send from and claim by ARP
///     bind6    interface . MAC . IPv6     likewise for IPv6, and the link-local address of its MAC (RFC 4291, EUI-64)
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

    /// - Parameters:
    ///   - policy: what the groups of the NICs say; `PolicyTable` tells of its sets and chains.
    ///   - keeping: further ports, held to what they are held to in `seen`; to nothing where it does not know them.
    ///   - shutting: ports that nothing is taken from.
    static func compile(
        _ nics: some Collection<NICSpec>, _ policy: Policy = Policy(), keeping: Set<InterfaceName> = [],
        of seen: NFTable? = nil, shutting: Set<InterfaceName> = []
    ) -> NFTable {
        var ports = NFSet("ports", key: [.interfaceName])
        var bound = NFSet("bound", key: [.interfaceName])
        var macs = NFSet("bindm", key: [.interfaceName, .etherAddress])
        var ipv4 = NFSet("bind4", key: [.interfaceName, .etherAddress, .ipv4Address])
        var ipv6 = NFSet("bind6", key: [.interfaceName, .etherAddress, .ipv6Address])
        for nic in nics {
            let port = NFValue.interface(nic.interface)
            let mac = NFValue.mac(nic.mac)
            ports.insert(NFKey(port))
            // What this kernel cannot have sends nothing.
            guard nic.refusal == nil else { continue }
            macs.insert(NFKey(port, mac))
            guard !nic.addresses.isEmpty else { continue }
            bound.insert(NFKey(port))
            ipv6.insert(NFKey(port, mac, .address(.v6(.linkLocal(of: nic.mac)))))
            for address in nic.addresses.map(\.address) {
                let key = NFKey(port, mac, .address(address))
                if address.isIPv4 { ipv4.insert(key) } else { ipv6.insert(key) }
            }
        }
        for port in keeping.union(shutting) { ports.insert(NFKey(.interface(port))) }
        let leaving = keeping.filter { PolicyTable.judges($0, in: seen) }.union(shutting)
        let (policySets, policyChains) = PolicyTable.compile(nics, policy, shutting: leaving)
        let trunks = TrunkChains.compile(nics, divided: policy.divided)
        // Those of the groups are there as soon as any NIC has one, as the chains that lead to them.
        let reasons = DenialReason.allCases.filter { $0 == .guard || !policyChains.isEmpty }
        let denied = reasons.map { DenialChains.ports($0, nics) }
        let sets = ([ports, bound, macs, ipv4, ipv6] + denied).map { set in
            var set = set
            if !keeping.isEmpty { set.elements.merge(elements(of: keeping, in: set, of: seen)) { new, _ in new } }
            return set
        }
        return NFTable(
            family: family, name: name, comment: comment, sets: sets + trunks.sets + policySets,
            chains: [GuardChains.entry(trunks), GuardChains.arp, GuardChains.ipv4, GuardChains.ipv6] + trunks.chains
                + policyChains + reasons.map(DenialChains.chain))
    }

    /// The elements of some ports in the set of that name of another table: keys that begin with the port's name.
    private static func elements(of ports: Set<InterfaceName>, in set: NFSet, of seen: NFTable?) -> [NFKey: NFData] {
        guard let other = seen?.sets[set.name], other.key == set.key, other.target == set.target else { return [:] }
        let names = Set(ports.map { NFKey(.interface($0)).bytes })
        return other.elements.filter { names.contains(Array($0.key.bytes.prefix(16))) }
    }
}
