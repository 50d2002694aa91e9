import SystemPackage

/// A request under way. Lives in its disk's slab; refers to others by index.
struct Operation: BitwiseCopyable {
    var kind: DiskRequest.Operation
    var isDurable: Bool
    var isParked = false
    /// It waits for a commit to make room; if that fails, so does it.
    var awaitsCommit = false
    /// The table that it waits for, 0 for none.
    var awaited = 0
    // SAFETY: a client lives until its requests have ended (`Disk.submit`).
    var client: Unmanaged<DiskClient>
    var tag: UInt32
    /// Started before the commit that made this epoch end.
    var epoch: UInt64
    var offset: UInt64
    var length: Int
    /// Bytes of the range for which everything was started.
    var cursor = 0
    /// Transfers and parts that have not ended.
    var outstanding = 0
    var bytes: UnsafeMutableRawPointer?
    /// An errno, 0 for none.
    var error: CInt = 0
}

/// One transfer between memory and a file. Its index is the tag of its ring operation.
struct Transfer: BitwiseCopyable {
    /// Who hears of its end.
    enum Owner: BitwiseCopyable {
        case operation(Int)
        /// A write of a part: data, zeroes around it, or the whole cluster.
        case part(Int)
        /// A read of a part: bytes that are copied up.
        case copyUp(Int)
        case load(Int)
        case commit
        case sync
        /// The mark of an image that is corrupt.
        case mark
        /// Space given back to the file system.
        case punch
        /// Room for tables to come.
        case room
    }

    var owner: Owner
    var file: CInt
    var isWrite: Bool
    var isDurable = false
    var bytes: UnsafeMutableRawPointer
    var offset: UInt64
    var length: Int
    /// Names it in the events that tests record.
    var event = 0
}

/// An allocation under way: new clusters that a write fills, and that are mapped when all of it is in the file.
struct Part: BitwiseCopyable {
    enum Stage: BitwiseCopyable {
        /// Waits for a buffer to copy up into.
        case awaitsBuffer
        /// Reads what is around the data into the buffer.
        case copyUp
        case write
    }

    var allocation: Allocation
    var operation: Int
    var stage: Stage
    /// The data of the write that falls into it, and where it begins in the first cluster's bytes.
    var data: UnsafeMutableRawPointer
    var length: Int
    var outstanding = 0
    var error: CInt = 0
    /// Bytes of the cluster up to which copying up was started.
    var cursor = 0
    /// Nothing but zeroes was found around the data.
    var foundZeroes = true
    var isParked = false
    /// The table that it waits for, 0 for none.
    var awaited = 0
    var buffer: UnsafeMutableRawPointer?
}

/// A table on its way from a file.
struct Load {
    var layer: Int
    var table: TableRead
    var bytes: UnsafeMutableRawPointer
}

/// Clusters that a durable commit has unmapped, until nothing refers to them any more.
struct FreedBatch {
    /// Operations that started in this epoch or before may still use them.
    var epoch: UInt64
    var clusters: [HostCluster]
}

extension Allocation: BitwiseCopyable {}
extension Refcounts.Run: BitwiseCopyable {}
extension GuestCluster: BitwiseCopyable {}
extension HostCluster: BitwiseCopyable {}
