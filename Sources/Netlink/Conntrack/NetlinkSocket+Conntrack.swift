internal import CNetlink

extension NetlinkSocket {
    /// The flows that the filter means, of a socket of the netfilter family.
    ///
    /// - Parameters:
    ///   - limit: no more are kept; there may be hundreds of thousands.
    ///   - isWanted: picks among them. What it does not pick is not kept.
    public mutating func conntrack(
        _ filter: ConntrackFilter = ConntrackFilter(), atMost limit: Int = .max,
        where isWanted: (ConntrackEntry) -> Bool = { _ in true }
    ) throws(NetlinkError) -> [ConntrackEntry] {
        var request = MessageWriter()
        request.listConntrack(filter)
        var count = 0
        return try dump(request) { message in
            // A kernel that does not know a part of the filter answers with more.
            guard count < limit, let entry = ConntrackEntry(message), filter.matches(entry), isWanted(entry) else {
                return nil
            }
            count += 1
            return entry
        }
    }

    /// How many flows the network namespace has, of a socket of the netfilter family. A list walks the hash table of
    /// all namespaces, which takes its time also where there are none.
    public mutating func conntrackCount() throws(NetlinkError) -> Int {
        var request = MessageWriter()
        request.countConntrack()
        var count: UInt32?
        for case let error? in try self.request(
            request,
            onReply: { _, message in
                for attribute in message.attributes(after: nfgenmsg.self)
                where attribute.type == Int(CTA_STATS_GLOBAL_ENTRIES.rawValue) {
                    count = attribute.bigEndian()
                }
            })
        { throw error }
        guard let count else { throw NetlinkError(operation: "count flows", cause: .malformed) }
        return Int(count)
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
