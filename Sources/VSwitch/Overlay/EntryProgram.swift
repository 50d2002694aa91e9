internal import Netlink
internal import Reconcile

/// The way from the entries that the kernel holds of an overlay to those that it should hold: what differs, in words
/// and in messages. Nothing else is touched.
struct EntryProgram {
    /// What one table gets, what it gets another value for, and what goes from it.
    private struct Difference<Key: Hashable & Comparable & CustomStringConvertible> {
        var added: [Key] = []
        var changed: [Key] = []
        var removed: [Key] = []

        /// Up to so many are named, more are counted.
        private static var named: Int { 4 }

        var words: String? {
            let all = [("+", added), ("~", changed), ("-", removed)]
            let count = added.count + changed.count + removed.count
            guard count > 0 else { return nil }
            guard count > Self.named else {
                return all.flatMap { sign, keys in keys.sorted().map { "\(sign)\($0)" } }.joined(separator: ", ")
            }
            return all.filter { !$0.1.isEmpty }.map { "\($0)\($1.count)" }.joined(separator: " ")
        }
    }

    private var peers = Difference<IPAddress>()
    private var hosts = Difference<MACAddress>()
    private var addresses = Difference<IPAddress>()
    private let wanted: OverlayEntries
    private let seen: OverlayEntries

    init(from seen: OverlayEntries, to wanted: OverlayEntries) {
        self.wanted = wanted
        self.seen = seen
        // Most looks find nothing different.
        guard wanted != seen else { return }
        peers.added = Array(wanted.flood.subtracting(seen.flood))
        peers.removed = Array(seen.flood.subtracting(wanted.flood))
        for (mac, peer) in wanted.tunnels where seen.tunnels[mac] != peer || !seen.ports.contains(mac) {
            let isNew = seen.tunnels[mac] == nil && !seen.ports.contains(mac)
            if isNew { hosts.added.append(mac) } else { hosts.changed.append(mac) }
        }
        hosts.removed = seen.ports.union(seen.tunnels.keys).filter { wanted.tunnels[$0] == nil }
        for (address, mac) in wanted.neighbours where seen.neighbours[address] != mac {
            if seen.neighbours[address] == nil {
                addresses.added.append(address)
            } else {
                addresses.changed.append(address)
            }
        }
        addresses.removed = seen.neighbours.keys.filter { wanted.neighbours[$0] == nil }
    }

    /// In the words of the manifest; empty if nothing differs.
    var fields: [FieldChange] {
        var fields: [FieldChange] = []
        for (name, words) in [("peers", peers.words), ("hosts", hosts.words), ("addresses of hosts", addresses.words)] {
            if let words { fields.append(FieldChange(name, to: words)) }
        }
        if !seen.strays.isEmpty { fields.append(FieldChange("entries of others", to: "-\(seen.strays.count)")) }
        return fields
    }

    /// Appends the messages: what must go before something else can come, what comes, what goes.
    func write(link: Int32, bridge: Int32, step: Int, to batch: inout StepBatch) {
        for stray in seen.strays { batch.add(step: step, tolerating: .missing) { $0.removeForwardingEntry(stray) } }
        let everything = MACAddress(rawValue: 0)
        batch.add(step: step) { writer in
            for peer in peers.added { writer.setForwardingEntry(ForwardingEntry(everything, to: peer, on: link)) }
            for mac in hosts.added + hosts.changed {
                guard let peer = wanted.tunnels[mac] else { continue }
                // The peer first: what the bridge sends to the link, the link can send on.
                if seen.tunnels[mac] != peer { writer.setForwardingEntry(ForwardingEntry(mac, to: peer, on: link)) }
                if !seen.ports.contains(mac) { writer.setForwardingEntry(ForwardingEntry(mac, atPort: link)) }
            }
            for address in addresses.added + addresses.changed {
                guard let mac = wanted.neighbours[address] else { continue }
                writer.setNeighbour(Neighbour(address, mac: mac, link: bridge))
            }
        }
        batch.add(step: step, tolerating: .missing) { writer in
            for address in addresses.removed {
                writer.removeNeighbour(Neighbour(address, mac: everything, link: bridge))
            }
            for mac in hosts.removed {
                if seen.ports.contains(mac) { writer.removeForwardingEntry(ForwardingEntry(mac, atPort: link)) }
                if let peer = seen.tunnels[mac] {
                    writer.removeForwardingEntry(ForwardingEntry(mac, to: peer, on: link))
                }
            }
            for peer in peers.removed { writer.removeForwardingEntry(ForwardingEntry(everything, to: peer, on: link)) }
        }
    }
}
