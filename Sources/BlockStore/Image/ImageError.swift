public import SystemPackage

/// Why an image file cannot be opened, made or used as asked. Prints as a sentence; the caller adds the file's name.
public enum ImageError: Error, Equatable, Sendable {
    /// The file does not begin with the qcow2 magic.
    case notQcow2
    /// The file ends before the named field.
    case truncated(HeaderField, needs: UInt64, has: UInt64)
    /// A field holds what the format does not allow, or what we cannot trust.
    case invalid(HeaderField, value: UInt64, rule: String)
    /// A feature that the image says every reader must know, and that we do not.
    case unsupported(feature: String)
    /// The image was left with refcounts that are not to be trusted.
    case dirty
    /// The image is marked as corrupt.
    case corrupt
    /// The image holds what we only read: version 2, internal snapshots.
    case readOnly(reason: String)
    /// A part of the disk is mapped to what cannot be used: in the file at this guest offset.
    case badMapping(MappingFault, at: UInt64)
    /// A table of the image holds what cannot be true.
    case damaged(TableDamage)
    /// Another process, or another volume, has the file open for writing.
    case locked
    /// The chain of backing files cannot be followed.
    case backing(file: String, reason: String)
    /// It is not there, or is nothing to open.
    case unusable(reason: String)
    /// The directory that it lies in is not the pool that it should be.
    case noPool
    /// Somebody has written to the file while it was read.
    case changed
    /// A size that cannot be served.
    case size(UInt64, rule: String)
    /// The kernel refused.
    case system(operation: FileOperation, Errno)
}

/// A call on the image file, for messages.
public enum FileOperation: String, Sendable {
    case open, read, write, sync, truncate, lock, rename, remove, stat
    case makeDirectory = "make the directory of"
    case list
    case allocate = "find room for"
}

/// A field of the qcow2 header, or a table that it names.
public enum HeaderField: String, Sendable {
    case header
    case version
    case backingFileOffset = "backing_file_offset"
    case backingFileSize = "backing_file_size"
    case clusterBits = "cluster_bits"
    case size
    case cryptMethod = "crypt_method"
    case l1Size = "l1_size"
    case l1TableOffset = "l1_table_offset"
    case refcountTableOffset = "refcount_table_offset"
    case refcountTableClusters = "refcount_table_clusters"
    case snapshotCount = "nb_snapshots"
    case snapshotsOffset = "snapshots_offset"
    case incompatibleFeatures = "incompatible_features"
    case refcountOrder = "refcount_order"
    case headerLength = "header_length"
    case compressionType = "compression_type"
    case headerExtension = "header extension"
    case l1Table = "L1 table"
    case l2Table = "L2 table"
    case refcountTable = "refcount table"
    case refcountBlock = "refcount block"
    case compressedCluster = "compressed cluster"
}

extension ImageError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .notQcow2: "is not a qcow2 image: the magic at its start is missing"
        case .truncated(let field, let needs, let has):
            "is truncated: \(field.rawValue) needs \(needs) bytes, the file has \(has)"
        case .invalid(let field, let value, let rule): "has a bad \(field.rawValue) (\(value)): \(rule)"
        case .unsupported(let feature):
            "needs the feature \(feature), which is not supported; convert it with qemu-img convert -O qcow2"
        case .dirty:
            "was not closed cleanly by a program with lazy refcounts; repair it with qemu-img check -r all"
        case .corrupt:
            "is marked as corrupt and is not opened for writing; look at it with qemu-img check"
        case .readOnly(let reason): "cannot be written: \(reason)"
        case .damaged(let damage): "is damaged: \(damage)"
        case .badMapping(let fault, let offset): "maps guest offset \(offset) badly: \(fault.sentence)"
        case .changed: "has changed while it was read; wait until nobody writes it"
        case .locked: "is in use by another process or volume"
        case .backing(let file, let reason): "has the backing file '\(file)', which cannot be used: \(reason)"
        case .unusable(let reason): "cannot be used: \(reason)"
        case .noPool: "lies in a directory without the pool's mark; is its file system mounted?"
        case .size(let size, let rule): "cannot have the size \(size): \(rule)"
        case .system(let operation, let errno): "could not \(operation.rawValue) the file: \(errno)"
        }
    }
}

/// Runs a file call and names it in the error.
func fileCall<Result: ~Copyable>(
    _ operation: FileOperation, _ body: () throws(Errno) -> Result
) throws(ImageError) -> Result {
    do throws(Errno) {
        return try body()
    } catch {
        throw .system(operation: operation, error)
    }
}
