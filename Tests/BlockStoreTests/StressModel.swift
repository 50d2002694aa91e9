import Glibc

/// What the blocks of a unit may hold: each the version that was last written, or one of several where a write was
/// lost on its way. And who is at work on them.
struct StressModel {
    static let blockBytes = 512

    let lun: UInt8
    let blockCount: Int
    private var versions: [UInt32]
    private var alternatives: [Int: [UInt32]] = [:]
    private var readers: [UInt16]
    private var isWritten: [Bool]
    private var lastVersion: UInt32 = 0
    private var events: [(range: Range<Int>, words: String)] = []

    init(lun: UInt8, blockCount: Int) {
        self.lun = lun
        self.blockCount = blockCount
        versions = [UInt32](repeating: 0, count: blockCount)
        readers = [UInt16](repeating: 0, count: blockCount)
        isWritten = [Bool](repeating: false, count: blockCount)
    }

    /// A version that no block has had; 0 is zeros.
    mutating func newVersion() -> UInt32 {
        lastVersion += 1
        return lastVersion
    }

    /// The bytes of a block.
    func word(_ block: Int, _ version: UInt32) -> UInt64 {
        guard version != 0 else { return 0 }
        return (UInt64(block) << 32 | UInt64(version) << 2 | UInt64(lun)) &* 0x9e37_79b9_7f4a_7c15
    }

    func bytes(_ range: Range<Int>, _ version: UInt32) -> [UInt8] {
        var words: [UInt64] = []
        words.reserveCapacity(range.count * 64)
        for block in range { words += repeatElement(word(block, version), count: 64) }
        return words.withUnsafeBytes { Array($0) }
    }

    /// The bytes of a block of which only one version is possible.
    func settled(_ block: Int) -> UInt32? { alternatives[block] == nil ? versions[block] : nil }

    // MARK: Claims

    /// Claims a range; false if others are at work there.
    mutating func claim(_ range: Range<Int>, writing: Bool) -> Bool {
        if isWritten[range].contains(true) { return false }
        if writing, readers[range].contains(where: { $0 > 0 }) { return false }
        for block in range {
            if writing { isWritten[block] = true } else { readers[block] += 1 }
        }
        return true
    }

    mutating func release(_ range: Range<Int>, writing: Bool) {
        for block in range {
            if writing { isWritten[block] = false } else { readers[block] -= 1 }
        }
    }

    // MARK: Contents

    /// A write of the range was answered with good status.
    mutating func wrote(_ range: Range<Int>, _ version: UInt32) {
        for block in range {
            versions[block] = version
            alternatives[block] = nil
        }
    }

    /// A write of the range has ended without an answer that says how: each block may hold either.
    mutating func mayHaveWritten(_ range: Range<Int>, _ version: UInt32) {
        for block in range { alternatives[block, default: [versions[block]]].append(version) }
    }

    /// Compares what was read, and learns from it where several versions were possible.
    mutating func check(_ bytes: ArraySlice<UInt8>, from first: Int) throws(WireFault) {
        let count = bytes.count / Self.blockBytes
        for index in 0..<count {
            let block = first + index
            let start = bytes.startIndex + index * Self.blockBytes
            let piece = bytes[start..<start + Self.blockBytes]
            if let possible = alternatives[block] {
                guard let found = possible.first(where: { holds(piece, block, $0) }) else {
                    throw wrong(piece, block, possible)
                }
                versions[block] = found
                alternatives[block] = nil
            } else if !holds(piece, block, versions[block]) {
                throw wrong(piece, block, [versions[block]])
            }
        }
    }

    private func holds(_ piece: ArraySlice<UInt8>, _ block: Int, _ version: UInt32) -> Bool {
        let expected = [UInt64](repeating: word(block, version), count: 64)
        return piece.withUnsafeBytes { found in
            expected.withUnsafeBytes { expected in
                guard let left = found.baseAddress, let right = expected.baseAddress else { return false }
                return memcmp(left, right, Self.blockBytes) == 0
            }
        }
    }

    private func wrong(_ piece: ArraySlice<UInt8>, _ block: Int, _ possible: [UInt32]) -> WireFault {
        let words = piece.withUnsafeBytes { bytes in
            stride(from: 0, to: Self.blockBytes, by: 8).map { bytes.loadUnaligned(fromByteOffset: $0, as: UInt64.self) }
        }
        var found: [(word: UInt64, count: Int)] = []
        for word in words {
            if found.last?.word == word { found[found.count - 1].count += 1 } else { found.append((word, 1)) }
        }
        let parts = found.map { part in
            let version = (0...lastVersion).first { word(block, $0) == part.word }
            return "\(part.count * 8) bytes of \(version.map { "version \($0)" } ?? "what was never written there")"
        }
        let history = events.filter { $0.range.contains(block) }.suffix(12).map(\.words)
        return WireFault(
            """
            LUN \(lun) block \(block) holds \(parts.prefix(6).joined(separator: ", ")), not one of \(possible); \
            before: \(history.joined(separator: ", "))
            """)
    }

    /// Notes what happened to a range, for the words of a failure.
    mutating func note(_ range: Range<Int>, _ words: @autoclosure () -> String) {
        if events.count > 20_000 { events.removeFirst(10_000) }
        events.append((range, words()))
    }
}
