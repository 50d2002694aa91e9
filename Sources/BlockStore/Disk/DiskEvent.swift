/// What happens to a disk's files, in the order in which it happens; tests replay it to simulate a power cut.
enum DiskEvent {
    /// A write began; what it writes may reach the medium from now on.
    case writeBegan(id: Int, offset: UInt64, bytes: [UInt8])
    /// A range was asked to read as zero, and may do so from now on.
    case zeroBegan(id: Int, offset: UInt64, length: Int)
    /// It ended: it is durable by itself, or the next sync that begins makes it so.
    case writeEnded(id: Int, isDurable: Bool)
    case syncBegan
    /// What had ended before `syncBegan` is durable.
    case syncEnded
}
