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

    public init(_ run: @escaping @Sendable (_ desired: inout Desired, _ diagnostics: Diagnostics) -> Void) {
        self.run = run
    }
}
