extension Command {
    /// Decodes a command for a unit. Total: any sixteen bytes give a command or the sense that says what is wrong.
    ///
    /// - Throws: invalid opcode (20/00), invalid field in CDB (24/00) with a pointer to the field, LBA out of range
    ///   (21/00).
    public static func decode(_ block: CommandBlock, _ profile: LogicalUnitProfile) throws(Sense) -> Command {
        switch block.opcode {
        case 0x08, 0x28, 0xa8, 0x88: return try decodeRead(block, profile)
        case 0x0a, 0x2a, 0xaa, 0x8a: return try decodeWrite(block, profile)
        case 0x2f, 0xaf, 0x8f, 0x2e, 0xae, 0x8e: return try decodeVerify(block, profile)
        case 0x89: return try decodeCompareAndWrite(block, profile)
        case 0x8b:
            let range = try blocks(block, profile)
            return .orWrite(range, forceUnitAccess: block[1] & 0x08 != 0)
        case 0x41, 0x93: return try decodeWriteSame(block, profile)
        case 0x35, 0x91:
            let place = try extent(block)
            guard profile.geometry.contains(place) else { throw outOfRange(place, profile.geometry) }
            return .synchronizeCache(immediate: block[1] & 0x02 != 0)
        case 0x34, 0x90:
            let place = try extent(block)
            guard profile.geometry.contains(place) else { throw outOfRange(place, profile.geometry) }
            return .preFetch(place, immediate: block[1] & 0x02 != 0)
        case 0x42: return try decodeUnmap(block, profile)
        default: return try decodeControl(block, profile)
        }
    }

    private static func decodeRead(_ block: CommandBlock, _ profile: LogicalUnitProfile) throws(Sense) -> Command {
        .read(try blocks(block, profile), forceUnitAccess: forced(block))
    }

    private static func decodeWrite(_ block: CommandBlock, _ profile: LogicalUnitProfile) throws(Sense) -> Command {
        .write(try blocks(block, profile), forceUnitAccess: forced(block))
    }

    /// The FUA bit; the six-byte commands have none.
    private static func forced(_ block: CommandBlock) -> Bool {
        block.opcode >= 0x20 && block[1] & 0x08 != 0
    }

    private static func decodeVerify(_ block: CommandBlock, _ profile: LogicalUnitProfile) throws(Sense) -> Command {
        // BYTCHK 0: the medium is readable; 1: it holds the data sent. 2 is reserved; 3 (one block sent) we have not.
        let check = block[1] >> 1 & 3
        guard check < 2 else { throw .invalidCommandField(byte: 1, bit: 2) }
        let range = try blocks(block, profile)
        let isWrite = block.opcode & 0x0f == 0x0e
        return isWrite ? .writeAndVerify(range, compare: check == 1) : .verify(range, compare: check == 1)
    }

    private static func decodeCompareAndWrite(
        _ block: CommandBlock, _ profile: LogicalUnitProfile
    ) throws(Sense) -> Command {
        try checkControl(block, at: 15)
        try checkProtection(block)
        let range = BlockRange(lba: block.uint64(2), count: UInt32(block[13]))
        guard profile.geometry.contains(range) else { throw outOfRange(range, profile.geometry) }
        guard range.count <= UInt32(profile.maxCompareBlocks) else { throw .invalidCommandField(byte: 13) }
        return .compareAndWrite(range, forceUnitAccess: block[1] & 0x08 != 0)
    }

    private static func decodeWriteSame(
        _ block: CommandBlock, _ profile: LogicalUnitProfile
    ) throws(Sense) -> Command {
        let long = block.opcode == 0x93
        let range = try extent(block)
        try checkProtection(block)
        // ANCHOR: blocks can be mapped or given back, not held in reserve.
        guard block[1] & 0x10 == 0 else { throw .invalidCommandField(byte: 1, bit: 4) }
        let unmap = block[1] & 0x08 != 0
        guard !unmap || profile.provisioning == .thin else { throw .invalidCommandField(byte: 1, bit: 3) }
        let noData = long && block[1] & 0x01 != 0
        guard profile.geometry.contains(range) else { throw outOfRange(range, profile.geometry) }
        // Zero would mean "to the end"; the block limits page excludes it (WSNZ).
        guard range.count > 0, range.count <= profile.maxSameBlocks else {
            throw .invalidCommandField(byte: long ? 10 : 7)
        }
        return .writeSame(range, noData ? .zeros : .block, unmap: unmap)
    }

    private static func decodeUnmap(_ block: CommandBlock, _ profile: LogicalUnitProfile) throws(Sense) -> Command {
        try checkControl(block, at: 9)
        guard profile.provisioning == .thin else { throw .invalidOpcode }
        guard block[1] & 0x01 == 0 else { throw .invalidCommandField(byte: 1, bit: 0) }
        return .unmap(parameterBytes: UInt32(block.uint16(7)))
    }

    /// The blocks of a command that moves data, checked for protection, range and length.
    private static func blocks(_ block: CommandBlock, _ profile: LogicalUnitProfile) throws(Sense) -> BlockRange {
        let range = try extent(block)
        if block.opcode >= 0x20 { try checkProtection(block) }
        guard profile.geometry.contains(range) else { throw outOfRange(range, profile.geometry) }
        guard range.count <= profile.maxTransferBlocks else {
            throw .invalidCommandField(byte: lengthByte(block.opcode))
        }
        return range
    }

    /// LBA and length where the four sizes of command blocks have them, without any check but the control byte's.
    private static func extent(_ block: CommandBlock) throws(Sense) -> BlockRange {
        switch block.opcode >> 5 {
        case 0:
            try checkControl(block, at: 5)
            // 21 bits of LBA; a length of 0 means 256.
            let count = UInt32(block[4])
            return BlockRange(lba: UInt64(block.uint24(1) & 0x1f_ffff), count: count == 0 ? 256 : count)
        case 1, 2:
            try checkControl(block, at: 9)
            return BlockRange(lba: UInt64(block.uint32(2)), count: UInt32(block.uint16(7)))
        case 5:
            try checkControl(block, at: 11)
            return BlockRange(lba: UInt64(block.uint32(2)), count: block.uint32(6))
        default:
            try checkControl(block, at: 15)
            return BlockRange(lba: block.uint64(2), count: block.uint32(10))
        }
    }

    private static func lengthByte(_ opcode: UInt8) -> UInt16 {
        switch opcode >> 5 {
        case 0: 4
        case 1, 2: 7
        case 5: 6
        default: 10
        }
    }

    /// The unit has no protection information, so RDPROTECT, WRPROTECT and VRPROTECT must be zero (SBC-3 section 4.22).
    private static func checkProtection(_ block: CommandBlock) throws(Sense) {
        guard block[1] & 0xe0 == 0 else { throw .invalidCommandField(byte: 1, bit: 7) }
    }

    /// NACA asks for auto contingent allegiance, which INQUIRY data says we do not have (NORMACA=0).
    static func checkControl(_ block: CommandBlock, at index: Int) throws(Sense) {
        guard block[index] & 0x04 == 0 else { throw .invalidCommandField(byte: UInt16(index), bit: 2) }
    }

    /// INFORMATION tells the first block that does not exist.
    static func outOfRange(_ range: BlockRange, _ geometry: LogicalUnitGeometry) -> Sense {
        Sense(
            .illegalRequest, .logicalBlockAddressOutOfRange,
            field: Sense.Field(byte: 2, bit: nil, inCommand: true), information: max(range.lba, geometry.blockCount))
    }
}
