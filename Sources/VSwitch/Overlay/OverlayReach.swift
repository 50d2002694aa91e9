public import Netlink

/// Who is behind an overlay: the peers, and the hosts that are known to be behind them.
///
/// It is all that the programming of the kernel knows of the other nodes. The manifest says it; a control plane that
/// learns it from the other nodes would fill the same value.
public struct OverlayReach: Hashable, Sendable {
    /// Other nodes by their addresses in the underlay: each gets a copy of what goes to many, or to a station that is
    /// not known (head-end replication).
    public var peers: Set<IPAddress>
    /// Stations behind peers by their MAC addresses.
    public var hosts: [MACAddress: RemoteHost]

    /// These peers, with these hosts behind them.
    public init(peers: Set<IPAddress> = [], hosts: [MACAddress: RemoteHost] = [:]) {
        self.peers = peers
        self.hosts = hosts
    }
}

/// A station behind a peer.
public struct RemoteHost: Hashable, Sendable {
    /// The peer behind which it is.
    public var peer: IPAddress
    /// The addresses that it is known to have.
    public var addresses: Set<IPAddress>

    /// A station of a peer.
    public init(behind peer: IPAddress, addresses: Set<IPAddress> = []) {
        self.peer = peer
        self.addresses = addresses
    }
}
