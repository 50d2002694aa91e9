import TestSupport
import Synchronization
import Syscall
import SystemPackage

@testable import BlockStore

/// What happened to a disk and its file, in one order: the disk's own events, and what its client knew.
final class CrashTrace: Sendable {
    enum Entry: Sendable {
        case file(DiskEvent)
        /// The requests of a round were sent.
        case roundBegan([RandomWork.Item])
        /// All of them were answered.
        case roundEnded
        /// A flush was answered that had been sent after so many rounds had ended.
        case flushed(rounds: Int)
    }

    private let entries = Mutex<[Entry]>([])

    func append(_ entry: Entry) { entries.withLock { $0.append(entry) } }
    var all: [Entry] { entries.withLock { $0 } }
}

/// A file under a write-back cache that loses power: what was synced is there, of the rest any sectors may be.
struct VolatileFile {
    private struct Change {
        var id: Int
        var offset: Int
        /// Nil for a range that becomes zero.
        var bytes: [UInt8]?
        var length: Int
        var hasEnded = false
        var isDurable = false
        /// Ended before the sync that is under way began.
        var isSyncing = false
    }

    private(set) var durable: [UInt8]
    private var changes: [Change] = []

    init(_ bytes: [UInt8]) { durable = bytes }

    mutating func apply(_ event: DiskEvent) {
        switch event {
        case .writeBegan(let id, let offset, let bytes):
            changes.append(Change(id: id, offset: Int(offset), bytes: bytes, length: bytes.count))
        case .zeroBegan(let id, let offset, let length):
            changes.append(Change(id: id, offset: Int(offset), bytes: nil, length: length))
        case .writeEnded(let id, let isDurable):
            guard let place = changes.firstIndex(where: { $0.id == id }) else { return }
            changes[place].hasEnded = true
            // It stays in line, so that what began before it does not come after it.
            changes[place].isDurable = isDurable
        case .syncBegan:
            for place in changes.indices { changes[place].isSyncing = changes[place].hasEnded }
        case .syncEnded:
            for change in changes where change.isSyncing {
                VolatileFile.put(change, 0..<change.length, into: &durable)
            }
            changes.removeAll { $0.isSyncing }
        }
    }

    /// The file after a power cut now: of what is not durable, each change is there with the chance `part`, torn at
    /// sectors now and then.
    func cut(part: Double, _ random: inout SeededGenerator) -> [UInt8] {
        var bytes = durable
        for change in changes {
            let isTorn = random.next() % 4 == 0 && !change.isDurable
            if !isTorn {
                if change.isDurable || Double.random(in: 0..<1, using: &random) < part {
                    VolatileFile.put(change, 0..<change.length, into: &bytes)
                }
                continue
            }
            for start in stride(from: 0, to: change.length, by: 512)
            where Double.random(in: 0..<1, using: &random) < part {
                VolatileFile.put(change, start..<min(start + 512, change.length), into: &bytes)
            }
        }
        return bytes
    }

    private static func put(_ change: Change, _ range: Range<Int>, into file: inout [UInt8]) {
        let start = change.offset + range.lowerBound
        let end = change.offset + range.upperBound
        guard let bytes = change.bytes else {
            // A hole never makes the file longer.
            let last = min(end, file.count)
            if start < last { file.replaceSubrange(start..<last, with: repeatElement(0, count: last - start)) }
            return
        }
        if file.count < end { file += [UInt8](repeating: 0, count: end - file.count) }
        file.replaceSubrange(start..<end, with: bytes[range])
    }
}

/// What each sector of the disk may hold after a power cut: the last value that was flushed, or any that was sent
/// since.
struct AllowedSectors {
    private var flushed: [UInt8]
    private var current: [UInt8]
    /// What has been sent since the flushed state, by sector.
    private var sent: [Int: Set<UInt8>] = [:]
    private var rounds: [[RandomWork.Item]] = []
    private var flushedRounds = 0
    private let clusterBytes: Int

    /// - Parameter sectors: what each sector is filled with at first.
    init(_ sectors: [UInt8], clusterBytes: Int) {
        flushed = sectors
        current = sectors
        self.clusterBytes = clusterBytes
    }

    mutating func apply(_ entry: CrashTrace.Entry) {
        switch entry {
        case .file: break
        case .roundBegan(let items):
            rounds.append(items)
            for item in items { note(item) }
        case .roundEnded:
            for item in rounds.last ?? [] where item.kind == .write && item.isDurable {
                for sector in sectors(item) {
                    flushed[sector] = item.fill
                    sent[sector] = nil
                }
            }
        case .flushed(let count):
            for item in rounds[flushedRounds..<count].joined() { settle(item) }
            flushedRounds = max(flushedRounds, count)
            flushed = current
            sent = [:]
            for item in rounds[flushedRounds...].joined() { note(item) }
        }
    }

    private func sectors(_ item: RandomWork.Item) -> Range<Int> {
        item.offset / 512..<(item.offset + item.length) / 512
    }

    private mutating func note(_ item: RandomWork.Item) {
        guard let fill = value(item) else { return }
        for sector in sectors(item) { sent[sector, default: []].insert(fill) }
    }

    private func value(_ item: RandomWork.Item) -> UInt8? {
        switch item.kind {
        case .write: item.fill
        case .writeZeroes, .discard: 0
        case .read, .flush: nil
        }
    }

    private mutating func settle(_ item: RandomWork.Item) {
        guard let fill = value(item) else { return }
        var range = item.offset..<item.offset + item.length
        if item.kind == .discard {
            let start = (range.lowerBound + clusterBytes - 1) / clusterBytes * clusterBytes
            let isLast = range.upperBound == current.count * 512
            let end = isLast ? range.upperBound : range.upperBound / clusterBytes * clusterBytes
            guard start < end else { return }
            range = start..<end
        }
        for sector in range.lowerBound / 512..<range.upperBound / 512 { current[sector] = fill }
    }

    /// What is wrong with the first sector of a disk that holds what it may not; nil if all is well.
    func firstBad(_ disk: [UInt8]) -> String? {
        for sector in flushed.indices {
            let bytes = disk[sector * 512..<(sector + 1) * 512]
            let value = disk[sector * 512]
            let isKnown = value == flushed[sector] || sent[sector]?.contains(value) == true
            let isUniform = bytes.withUnsafeBytes { $0.allSatisfy { $0 == value } }
            if isKnown, isUniform { continue }
            let may = (sent[sector] ?? []).union([flushed[sector]]).sorted()
            return "sector \(sector) holds \(value)\(isUniform ? "" : " in part"), and may hold \(may)"
        }
        return nil
    }
}

/// A whole disk read without a loop.
enum PlainReader {
    static func read(root: FilePath, name: String) throws -> [UInt8] {
        let chain = try BackingChain.open(root: root, name: name, format: .qcow2, access: .observe)
        guard case .qcow2(let top) = chain.layers[0] else { return [] }
        var bytes = [UInt8](repeating: 0, count: Int(top.size))
        var offset = 0
        while offset < bytes.count {
            switch chain.map(UInt64(offset), bytes.count - offset) {
            case .zero(let count): offset += count
            case .data(let layer, let host, let count):
                bytes.replaceSubrange(offset..<offset + count, with: try chain.files[layer].read(count, at: host))
                offset += count
            case .needs(let layer, let table):
                guard case .qcow2(let image) = chain.layers[layer] else { throw Errno.ioError }
                let read = try chain.files[layer].read(table.length, at: table.at)
                let result = read.withUnsafeBytes { image.install(table, $0) }
                guard result == .installed else { throw Errno.ioError }
            case .fault(_, let fault):
                throw ImageError.badMapping(fault, at: UInt64(offset))
            }
        }
        return bytes
    }
}
