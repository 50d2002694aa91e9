/// How large a unit is and how its blocks lie: what range checks need, in integers.
public struct LogicalUnitGeometry: Equatable, Sendable {
    /// Logical blocks of `blockBytes`.
    public var blockCount: UInt64
    /// Bytes of a logical block, a power of two.
    public let blockBytes: UInt32
    /// A physical block has 2 to this power logical ones. 0: a file can be written block by block; that 4 KiB at a
    /// time is better is said by the transfer length granularity (VPD page B0), which initiators take as their hint.
    public let physicalExponent: UInt8

    /// The length that transfers should be a multiple of, in blocks: 4 KiB.
    public var granularityBlocks: UInt16 { UInt16(max(1, 4096 / blockBytes)) }

    /// - Parameter bytes: size of the volume; a rest that fills no block cannot be reached.
    public init(bytes: UInt64, blockBytes: UInt32 = 512, physicalExponent: UInt8 = 0) {
        precondition(blockBytes >= 512 && blockBytes & (blockBytes - 1) == 0, "a block has a power of two of bytes")
        self.blockBytes = blockBytes
        self.physicalExponent = physicalExponent & 0xf
        blockCount = bytes / UInt64(blockBytes)
    }

    /// Whether the blocks exist. An empty range may stand anywhere up to the end (SBC-3 section 4.5).
    public func contains(_ range: BlockRange) -> Bool {
        range.lba <= blockCount && UInt64(range.count) <= blockCount - range.lba
    }
}

/// Logical blocks that a command names.
public struct BlockRange: Equatable, Sendable {
    public let lba: UInt64
    public let count: UInt32

    public init(lba: UInt64, count: UInt32) {
        self.lba = lba
        self.count = count
    }

    /// Where the range begins, in bytes from the start of the volume. Right for ranges that the geometry contains.
    public func byteOffset(_ geometry: LogicalUnitGeometry) -> UInt64 { lba &* UInt64(geometry.blockBytes) }

    /// Bytes in the range; below 2^48 for any block size up to 64 KiB.
    public func byteCount(_ geometry: LogicalUnitGeometry) -> UInt64 { UInt64(count) &* UInt64(geometry.blockBytes) }
}

/// What a logical unit is, apart from its state: identity, shape and limits. Owned by the target; a change of it is
/// told to the initiators by a unit attention.
public struct LogicalUnitProfile: Equatable, Sendable {
    /// Whether blocks can be given back, and read as zeros afterwards.
    public enum Provisioning: Sendable {
        case full
        case thin
    }

    public var geometry: LogicalUnitGeometry
    public var provisioning: Provisioning
    /// The volume cannot be written, whatever an initiator sets.
    public var readOnly: Bool
    public var removable: Bool

    public var vendor = "SDAGENT"
    public var product = "VOLUME"
    public var revision = "1"
    /// Unit serial number, printable ASCII.
    public var serial: String
    /// Identity of the unit: the 60 bits behind the 6 of an NAA locally assigned (type 3) or vendor's name.
    public var naa: UInt64
    public var targetName: String
    public var portalGroupTag: UInt16
    public var relativeTargetPort: UInt16 = 1

    /// Most blocks that one READ, WRITE or VERIFY may move.
    public var maxTransferBlocks: UInt32 = 65_536
    public var optimalTransferBlocks: UInt32 = 2048
    /// Most blocks that one COMPARE AND WRITE may compare.
    public var maxCompareBlocks: UInt8 = 255
    /// Blocks that the store gives back at once: its cluster.
    public var unmapGranularityBlocks: UInt32 = 128
    /// Most blocks that one WRITE SAME may set, and one UNMAP may give back.
    public var maxSameBlocks: UInt32 = 4_194_304
    public var maxUnmapBlocks: UInt32 = 1_048_576
    public var maxUnmapDescriptors: UInt32 = 256

    public init(
        geometry: LogicalUnitGeometry, provisioning: Provisioning, readOnly: Bool = false, removable: Bool = false,
        serial: String, naa: UInt64, targetName: String, portalGroupTag: UInt16
    ) {
        self.geometry = geometry
        self.provisioning = provisioning
        self.readOnly = readOnly
        self.removable = removable
        self.serial = serial
        self.naa = naa
        self.targetName = targetName
        self.portalGroupTag = portalGroupTag
    }
}
