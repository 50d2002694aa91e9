import Manifest
import Syscall
import SystemPackage

/// The room in a pool's file system, and who finds none.
public struct PoolSpace: Hashable, Sendable {
    /// Bytes that are free for this process.
    public var free: UInt64
    /// Bytes of the file system.
    public var total: UInt64
    /// Bytes that the pool's volumes may ask for yet: what they promise and the file system has not given.
    public var promised: UInt64
    /// Volumes that are refused new clusters.
    public var refused = 0

    /// With less there is no room for a cluster and its tables.
    static let least: UInt64 = 1 << 20
    /// A file system is nearly full with less than a twentieth free, and never with more than this.
    static let ample: UInt64 = 4 << 30
    /// A refusal that is older does not count where there is room.
    static let memory: UInt64 = 60

    init(free: UInt64, total: UInt64, promised: UInt64) {
        self.free = free
        self.total = total
        self.promised = promised
    }

    /// Looks at the file system of a directory.
    init(of path: FilePath, promised: UInt64) throws(ImageError) {
        let room = try fileCall(.stat) { () throws(Errno) in try File.space(of: path) }
        self.init(free: room.free, total: room.total, promised: promised)
    }

    /// Takes into account how an open volume of the pool stands.
    mutating func note(_ condition: DiskCondition) {
        guard case .refused(let age) = condition, free < Self.least || age < Self.memory else { return }
        refused += 1
    }

    /// What an operator should know, in words that stay the same while it stays so; nil if there is room.
    var trouble: String? {
        let whole = Self.about(total)
        let who = refused == 1 ? "a volume is refused new clusters" : "\(refused) volumes are refused new clusters"
        if free < Self.least {
            let words = "full: less than \(ByteSize(Self.least)) of \(whole) is free"
            return refused > 0 ? "\(words), and \(who); make room" : "\(words); make room"
        }
        let percent = "\(free / max(1, total / 100))%"
        if refused > 0 { return "full: \(percent) of \(whole) is free, and yet \(who); look for a quota" }
        guard free < promised, free < min(total / 20, Self.ample) else { return nil }
        return "nearly full: \(percent) of \(whole) is free, and its volumes may ask for more; make room"
    }

    /// A size for a reader: of four digits at most, rounded down.
    private static func about(_ bytes: UInt64) -> ByteSize {
        let shift: UInt64 = bytes >= 10 << 40 ? 40 : bytes >= 10 << 30 ? 30 : bytes >= 10 << 20 ? 20 : 10
        return ByteSize((bytes >> shift) << shift)
    }
}
