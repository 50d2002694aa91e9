/// What is wrong with one entry of a mapping table.
public enum MappingFault: UInt8, Sendable {
    /// The cluster is compressed; volumes hold none, images are decompressed at import.
    case compressed
    /// The address is not that of a cluster.
    case misaligned
    /// The address lies beyond the end of the file.
    case outsideFile
    /// The address is that of the header or of a table.
    case overlapsMetadata
    /// A reserved bit is set.
    case reservedBits
    /// The cluster is shared with a snapshot, and we do not write such images.
    case shared
    /// The cluster is mapped, or holds a table, and is counted as free.
    case countedFree
    /// Two mappings lead to the cluster.
    case mappedTwice
}

extension MappingFault {
    /// The fault in words.
    var sentence: String {
        switch self {
        case .compressed: "the cluster is compressed"
        case .misaligned: "the address is not that of a cluster"
        case .outsideFile: "the address lies beyond the end of the file"
        case .overlapsMetadata: "the address is that of metadata"
        case .reservedBits: "a reserved bit is set"
        case .shared: "the cluster is shared with a snapshot"
        case .countedFree: "a cluster that is in use is counted as free"
        case .mappedTwice: "the cluster is mapped twice"
        }
    }
}

/// An entry of an image's tables that cannot be true. It is found before anybody follows it.
public struct TableDamage: Equatable, Sendable, CustomStringConvertible {
    /// The table.
    public var table: HeaderField
    /// Where the entry stands in the file, in bytes.
    public var offset: UInt64
    /// The entry as it stands there.
    public var entry: UInt64
    public var fault: MappingFault

    public var description: String {
        "the \(table.rawValue)'s entry at \(offset) is 0x\(String(entry, radix: 16)): \(fault.sentence)"
    }
}
