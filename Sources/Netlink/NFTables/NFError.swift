/// Why an nftables transaction or dump failed.
public enum NFError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Somebody else committed between the look and the deed (ERESTART): look and plan again.
    case generationChanged
    /// The tables changed during each of many dumps.
    case unsteady
    /// Another process owns the table, and only it can change it (table flag `owner`).
    case held(NetlinkError)
    case netlink(NetlinkError)

    public var description: String {
        switch self {
        case .generationChanged: "another program changed the nftables rules at the same moment"
        case .unsteady: "the nftables rules kept changing while they were read; try again when they are quieter"
        case .held(let error):
            "\(error.operation) \(error.subject): another process holds the table, and only that one can change it; "
                + "`nft list tables` and `nft list table …` name it (progname)"
        case .netlink(let error): error.description
        }
    }
}
