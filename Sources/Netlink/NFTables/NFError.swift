/// Why an nftables transaction or dump failed.
public enum NFError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Somebody else committed between the look and the deed (ERESTART): look and plan again.
    case generationChanged
    /// The tables changed during each of many dumps.
    case unsteady
    case netlink(NetlinkError)

    public var description: String {
        switch self {
        case .generationChanged: "another program changed the nftables rules at the same moment"
        case .unsteady: "the nftables rules kept changing while they were read; try again when they are quieter"
        case .netlink(let error): error.description
        }
    }
}
