public import Netlink

/// A set of addresses under a name, for rules of groups.
public struct AddressSetSpec: Hashable, Sendable {
    /// Its name in the manifest.
    public let name: String
    /// Networks and single addresses, of either family.
    public var members: [IPPrefix]

    /// A set with these members.
    public init(name: String, members: [IPPrefix]) {
        self.name = name
        self.members = members
    }
}
