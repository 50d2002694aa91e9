extension NetlinkSocket {
    /// The flows that the filter means, of a socket of the netfilter family.
    public mutating func conntrack(_ filter: ConntrackFilter = ConntrackFilter()) throws(NetlinkError)
        -> [ConntrackEntry]
    {
        var request = MessageWriter()
        request.listConntrack(filter)
        return try dump(request) { message in
            // A kernel that does not know a part of the filter answers with more.
            ConntrackEntry(message).flatMap { filter.matches($0) ? $0 : nil }
        }
    }

    /// Forgets these flows, and no later ones of the same tuples: the next packet of each is that of a new flow.
    ///
    /// One that is gone already is no failure.
    /// - Returns: what could not be forgotten.
    public mutating func forget(
        _ entries: some Sequence<ConntrackEntry>
    ) throws(NetlinkError) -> [(entry: ConntrackEntry, error: NetlinkError)] {
        let entries = Array(entries)
        guard !entries.isEmpty else { return [] }
        var batch = MessageWriter(capacity: entries.count * 128)
        for entry in entries { batch.deleteConntrack(entry) }
        var failures: [(entry: ConntrackEntry, error: NetlinkError)] = []
        for (entry, outcome) in zip(entries, try request(batch)) {
            guard let outcome, !outcome.isMissing else { continue }
            failures.append((entry, outcome.about("from \(entry.original.source) to \(entry.original.destination)")))
        }
        return failures
    }
}
