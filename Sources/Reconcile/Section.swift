public import Manifest

/// One top-level map of the manifest: its key, and how one of its entries becomes resources.
public struct Section: Sendable {
    /// `switches`, `vms`.
    public let key: String
    /// Adds the resources of one entry to the desired set; mistakes go to the diagnostics.
    public let decode: @Sendable (_ entry: ManifestEntry, _ desired: inout Desired, _ diagnostics: Diagnostics) -> Void

    public init(
        _ key: String,
        decode:
            @escaping @Sendable (_ entry: ManifestEntry, _ desired: inout Desired, _ diagnostics: Diagnostics) -> Void
    ) {
        self.key = key
        self.decode = decode
    }
}

/// What follows from the manifest as a whole: a check across resources, a value resolved from others, a resource that
/// is compiled from others. It runs when every section is decoded.
public struct Derivation: Sendable {
    public let run: @Sendable (_ desired: inout Desired, _ diagnostics: Diagnostics) -> Void
    /// The names of the kinds that it reads or changes.
    let kinds: Set<String>
    private let amend: Amend

    /// Does for what differs what `run` would do for all, to a set that was derived before the difference.
    ///
    /// - Returns: false where it cannot tell without all, or finds a mistake, of which a reading of all will tell.
    public typealias Amend = @Sendable (_ revision: inout Revision, _ amendment: Amendment) -> Bool

    /// - Parameters:
    ///   - kinds: the names of the kinds that it reads or changes, of those that a manifest names: an amendment of
    ///     others is none of its business.
    ///   - amend: does it for an amendment of these; if nothing else is said, nothing but a reading of all does.
    public init(
        of kinds: Set<String>, amend: @escaping Amend = { _, _ in false },
        _ run: @escaping @Sendable (_ desired: inout Desired, _ diagnostics: Diagnostics) -> Void
    ) {
        self.kinds = kinds
        self.amend = amend
        self.run = run
    }

    /// - Returns: whether the set is as `run` would have left it.
    func amend(_ revision: inout Revision, _ amendment: Amendment) -> Bool {
        kinds.isDisjoint(with: amendment.kinds) || amend(&revision, amendment)
    }
}
