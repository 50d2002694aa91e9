/// What happens to a disk's files, in the order in which it happens; tests replay it to simulate a power cut.
enum DiskEvent {
    /// A write began; what it writes may reach the medium from now on.
    case writeBegan(id: Int, offset: UInt64, bytes: [UInt8])
    /// A range was asked to read as zero, and may do so from now on.
    case zeroBegan(id: Int, offset: UInt64, length: Int)
    /// It ended: the next sync that begins makes it durable.
    case writeEnded(id: Int)
    case syncBegan
    /// What had ended before `syncBegan` is durable.
    case syncEnded
}
