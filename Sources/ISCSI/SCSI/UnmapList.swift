/// The parameter list of UNMAP (SBC-3 section 5.28).
public enum UnmapList {
    /// The ranges to give back, in the order in which they stand; empty ones are left out.
    ///
    /// - Throws: parameter list length error, invalid field in parameter list, LBA out of range.
    public static func parse(
        _ bytes: UnsafeRawBufferPointer, _ profile: LogicalUnitProfile
    ) throws(Sense) -> [BlockRange] {
        guard bytes.count > 0 else { return [] }
        guard bytes.count >= 8 else { throw .parameterListLength }
        let reader = ByteReader(bytes)
        let listed = Int(reader.uint16(2))
        guard listed <= bytes.count - 8 else { throw .parameterListLength }
        // A rest that fills no descriptor is ignored.
        let count = listed / 16
        guard count <= Int(profile.maxUnmapDescriptors) else { throw .invalidParameterField(byte: 2) }
        var ranges: [BlockRange] = []
        var total: UInt64 = 0
        for index in 0..<count {
            let offset = 8 + index * 16
            let range = BlockRange(lba: reader.uint64(offset), count: reader.uint32(offset + 8))
            guard profile.geometry.contains(range) else {
                throw Command.outOfRange(range, profile.geometry)
            }
            total += UInt64(range.count)
            guard total <= UInt64(profile.maxUnmapBlocks) else {
                throw .invalidParameterField(byte: UInt16(offset + 8))
            }
            if range.count > 0 { ranges.append(range) }
        }
        return ranges
    }
}
