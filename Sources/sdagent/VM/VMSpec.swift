/// A VM as the manifest asks for it. Its NICs are resources that carry its name.
struct VMSpec: Hashable, Sendable {
    /// Its volumes by name, in the order in which it sees them.
    let disks: [String]
}
