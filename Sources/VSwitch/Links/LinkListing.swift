public import Netlink
internal import Synchronization

/// The links of the node as one dump listed them, shared by the kinds that look one after the other.
///
/// The first kind of a look takes a fresh listing, the next ones take the same; whoever changes links throws it away.
public final class LinkListing: Sendable {
    /// The namespace whose links are meant.
    public let location: NetworkLocation
    private let state = Mutex(State())

    fileprivate struct State: ~Copyable {
        var kept: Kept?
        /// Tells of changes since the listing that is kept was begun; nil before anybody asked for it.
        var monitor: NetlinkMonitor?
        /// The next look may take the listing that is kept.
        var isHasty = false
    }

    fileprivate struct Kept {
        let links: [Link]
        let sorted: SortedLinks
        let listed: ContinuousClock.Instant
        /// When the look began that it serves.
        var taken: ContinuousClock.Instant
    }

    /// A listing may serve the next kind of the same look, not the next look.
    private static let lifetime: Duration = .seconds(1)

    /// Nothing is listed yet.
    public init(in location: NetworkLocation = .own) { self.location = location }

    /// Has the next look, and no other, take the listing that is kept, where the kernel has told of no change since.
    ///
    /// It is for a change that should wait for nothing, and that another look follows: the kernel does not tell of all
    /// that is listed (settings below net.ipv6.conf, say).
    public func hasten() { state.withLock { $0.isHasty = true } }

    /// Whether the list is kept, and the kernel has told of no change since. Who asks for the first time is told no.
    func isUnchanged() throws(NetlinkError) -> Bool {
        try state.withLock { state -> Result<Bool, NetlinkError> in
            do throws(NetlinkError) { return .success(try state.isUnchanged(location)) } catch {
                return .failure(error)
            }
        }.get()
    }

    /// Lists the links now, and keeps the list for the next kind.
    func fresh() throws(NetlinkError) -> [Link] {
        try state.withLock { state -> Result<[Link], NetlinkError> in
            do throws(NetlinkError) { return .success(try state.list(location)) } catch { return .failure(error) }
        }.get()
    }

    /// The list that another kind has just taken, or a new one.
    func shared() throws(NetlinkError) -> [Link] {
        if let recent = recent({ $0.links }) { return recent }
        return try fresh()
    }

    /// The same, by whose they are.
    func sorted() throws(NetlinkError) -> SortedLinks {
        if let recent = recent({ $0.sorted }) { return recent }
        return SortedLinks(try fresh())
    }

    private func recent<Part>(_ part: (Kept) -> Part) -> Part? {
        let now = ContinuousClock.now
        return state.withLock { state in
            guard let known = state.kept, now - known.taken < Self.lifetime else { return nil }
            return part(known)
        }
    }

    /// Throws the list away: links have changed.
    func forget() { state.withLock { $0.kept = nil } }
}

extension LinkListing.State {
    /// What the kernel tells nobody of is seen after so long at the latest.
    private static let trust: Duration = .seconds(20)

    fileprivate mutating func list(_ location: NetworkLocation) throws(NetlinkError) -> [Link] {
        let now = ContinuousClock.now
        let isHasty = isHasty
        self.isHasty = false
        if isHasty {
            let isUnchanged = try isUnchanged(location)
            if isUnchanged, let known = kept, now - known.listed < Self.trust {
                kept?.taken = now
                return known.links
            }
        } else {
            // What comes while the list is read is told of at the next look.
            _ = try monitor?.drain()
        }
        var socket = try location.socket(.route)
        let links = try socket.linksWithVLANs()
        kept = LinkListing.Kept(links: links, sorted: SortedLinks(links), listed: now, taken: .now)
        return links
    }

    fileprivate mutating func isUnchanged(_ location: NetworkLocation) throws(NetlinkError) -> Bool {
        if monitor == nil {
            // Nobody has told so far.
            kept = nil
            monitor = try location.monitor(.routing)
        }
        if try monitor?.drain() ?? true { kept = nil }
        return kept != nil
    }
}

extension NetlinkSocket {
    /// Lists all links; with the VLANs of ports and bridges where a bridge of ours filters. Most nodes have none, and
    /// are not asked for what may be thousands of entries.
    mutating func linksWithVLANs() throws(NetlinkError) -> [Link] {
        var links = try links()
        let isFiltering = links.contains { $0.bridge?.filtersVLANs == true && SwitchKind.owner(of: $0) != nil }
        guard isFiltering else { return links }
        let vlans = try portVLANs()
        for index in links.indices { links[index].vlans = vlans[links[index].index] ?? PortVLANs() }
        return links
    }
}
