public import Netlink
internal import Synchronization

/// The links of the node as one dump listed them, shared by the kinds that look one after the other.
///
/// The first kind of a look takes a fresh listing, the next ones take the same; whoever changes links throws it away.
public final class LinkListing: Sendable {
    /// The namespace whose links are meant.
    public let location: NetworkLocation
    private let kept = Mutex<Kept?>(nil)

    private struct Kept {
        let links: [Link]
        let time: ContinuousClock.Instant
    }

    /// A listing may serve the next kind of the same look, not the next look.
    private static let lifetime: Duration = .seconds(1)

    /// Nothing is listed yet.
    public init(in location: NetworkLocation = .own) { self.location = location }

    /// Lists the links now, and keeps the list for the next kind.
    func fresh() throws(NetlinkError) -> [Link] {
        var socket = try location.socket(.route)
        let links = try socket.linksWithVLANs()
        let now = ContinuousClock.now
        kept.withLock { $0 = Kept(links: links, time: now) }
        return links
    }

    /// The list that another kind has just taken, or a new one.
    func shared() throws(NetlinkError) -> [Link] {
        let now = ContinuousClock.now
        let recent = kept.withLock { kept in
            guard let known = kept, now - known.time < Self.lifetime else { return [Link]?.none }
            return known.links
        }
        if let recent { return recent }
        return try fresh()
    }

    /// Throws the list away: links have changed.
    func forget() { kept.withLock { $0 = nil } }
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
