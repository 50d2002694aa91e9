/// READ CAPACITY data (SBC-3 sections 5.15 and 5.16).
enum Capacity {
    static func append10(_ geometry: LogicalUnitGeometry, to answer: inout [UInt8]) {
        // FFFFFFFFh says "too large, ask with READ CAPACITY (16)".
        answer.append(uint32: UInt32(clamping: lastBlock(geometry)))
        answer.append(uint32: geometry.blockBytes)
    }

    static func append16(_ profile: LogicalUnitProfile, to answer: inout [UInt8]) {
        let geometry = profile.geometry
        answer.append(uint64: lastBlock(geometry))
        answer.append(uint32: geometry.blockBytes)
        // No protection; logical blocks per physical block exponent.
        answer += [0x00, geometry.physicalExponent]
        // LBPME and LBPRZ; the lowest aligned block is block 0.
        answer.append(uint16: profile.provisioning == .thin ? 0xc000 : 0)
        answer.append(zeros: 16)
    }

    private static func lastBlock(_ geometry: LogicalUnitGeometry) -> UInt64 {
        geometry.blockCount == 0 ? 0 : geometry.blockCount - 1
    }
}

/// The answer to GET LBA STATUS (SBC-3 section 5.4): made extent by extent by whoever knows the mapping.
public struct LBAStatus: Equatable, Sendable {
    public enum State: UInt8, Sendable {
        case mapped = 0
        case deallocated = 1
    }

    /// Bytes of the answer; their number is right after each `append`.
    public private(set) var bytes: [UInt8] = [0, 0, 0, 4, 0, 0, 0, 0]

    public init() {}

    /// Adds an extent that follows on the one before. Two alike become one descriptor.
    public mutating func append(_ range: BlockRange, _ state: State) {
        let last = bytes.count - 16
        if last >= 8, bytes[last + 12] == state.rawValue {
            let before = bytes[last + 8..<last + 12].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            let (sum, overflow) = before.addingReportingOverflow(range.count)
            if !overflow {
                bytes.patch(uint32: Int(sum), at: last + 8)
                return
            }
        }
        bytes.append(uint64: range.lba)
        bytes.append(uint32: range.count)
        bytes += [state.rawValue, 0, 0, 0]
        bytes.patch(uint32: bytes.count - 4, at: 0)
    }

    /// Number of descriptors so far: an answer of `allocation` bytes has room for (allocation - 8) / 16.
    public var count: Int { (bytes.count - 8) / 16 }
}
