extension ImageHeader {
    /// The bytes of a file's start that decoding asks for: a header lies within one cluster, and we read no more of it
    /// than this even where clusters are larger.
    static let prefixBytes = 64 << 10

    /// Decodes and checks the header.
    /// - Parameters:
    ///   - bytes: the start of the file, `prefixBytes` of it or all there is.
    ///   - fileBytes: the length of the file; tables that it cannot hold are refused.
    init(decoding bytes: [UInt8], fileBytes: UInt64) throws(ImageError) {
        let fields = FieldReader(bytes: bytes, fileBytes: fileBytes)
        guard try fields.uint32(0, .header) == ImageHeader.magic else { throw .notQcow2 }
        let version = try fields.uint32(4, .version)
        guard version == 2 || version == 3 else {
            throw .invalid(.version, value: UInt64(version), rule: "versions 2 and 3 are known")
        }
        let clusterBits = try fields.uint32(20, .clusterBits)
        guard let bits = Int(exactly: clusterBits), Geometry.allowedClusterBits.contains(bits) else {
            throw .invalid(.clusterBits, value: UInt64(clusterBits), rule: "clusters are 2^9 to 2^21 bytes")
        }
        let crypt = try fields.uint32(32, .cryptMethod)
        guard crypt == 0 else { throw .unsupported(feature: crypt == 2 ? "LUKS encryption" : "encryption") }
        self.init(
            geometry: Geometry(clusterBits: bits),
            size: try fields.uint64(24, .size),
            l1Size: try fields.uint32(36, .l1Size),
            l1Offset: HostOffset(bytes: try fields.uint64(40, .l1TableOffset)),
            refcountTableOffset: HostOffset(bytes: try fields.uint64(48, .refcountTableOffset)),
            refcountTableClusters: try fields.uint32(56, .refcountTableClusters))
        self.version = version
        snapshotCount = try fields.uint32(60, .snapshotCount)
        snapshotsOffset = try fields.uint64(64, .snapshotsOffset)
        try decodeVersion3(fields)
        try checkTables(fields)
    }

    private mutating func decodeVersion3(_ fields: FieldReader) throws(ImageError) {
        var headerLength = ImageHeader.version2Length
        if version >= 3 {
            incompatible = try fields.uint64(72, .incompatibleFeatures)
            compatible = try fields.uint64(80, .incompatibleFeatures)
            autoclear = try fields.uint64(88, .incompatibleFeatures)
            refcountOrder = try fields.uint32(96, .refcountOrder)
            guard refcountOrder <= 6 else {
                throw .invalid(.refcountOrder, value: UInt64(refcountOrder), rule: "refcounts have 1 to 64 bits")
            }
            let claimed = try fields.uint32(100, .headerLength)
            guard claimed >= ImageHeader.version3Length, claimed % 8 == 0, claimed <= geometry.clusterBytes,
                Int(claimed) <= fields.bytes.bytes.count
            else {
                throw .invalid(.headerLength, value: UInt64(claimed), rule: "it is 104 or more, within a cluster")
            }
            headerLength = Int(claimed)
            if headerLength > 104 { compression = fields.bytes.bytes[104] }
        }
        let end = try decodeBackingFile(fields, headerLength: headerLength)
        try decodeExtensions(fields, from: headerLength, to: end)
        try checkFeatures()
    }

    /// Reads the backing file's name; answers where the extensions must end.
    private mutating func decodeBackingFile(_ fields: FieldReader, headerLength: Int) throws(ImageError) -> Int {
        let limit = min(geometry.clusterBytes, fields.bytes.bytes.count)
        let offset = try fields.uint64(8, .backingFileOffset)
        guard offset != 0 else { return limit }
        let size = try fields.uint32(16, .backingFileSize)
        guard size >= 1, size <= ImageHeader.maximumBackingNameBytes else {
            throw .invalid(.backingFileSize, value: UInt64(size), rule: "a name has 1 to 1023 bytes")
        }
        guard let start = Int(exactly: offset), start >= headerLength, start <= limit, Int(size) <= limit - start else {
            throw .invalid(.backingFileOffset, value: offset, rule: "the name must lie in the first cluster")
        }
        guard let name = fields.bytes.text(start, count: Int(size)), !name.utf8.contains(0) else {
            throw .invalid(.backingFileOffset, value: offset, rule: "the name must be UTF-8")
        }
        backingFile = name
        return start
    }

    private mutating func decodeExtensions(_ fields: FieldReader, from: Int, to end: Int) throws(ImageError) {
        var offset = from
        while offset <= end - 8 {
            guard let type = fields.bytes.uint32(offset), let length = fields.bytes.uint32(offset + 4) else { break }
            if type == HeaderExtension.end { return }
            offset += 8
            guard let count = Int(exactly: length), count <= end - offset else {
                throw .invalid(.headerExtension, value: UInt64(type), rule: "its \(length) bytes exceed the header")
            }
            extensions.append(HeaderExtension(type: type, data: Array(fields.bytes.bytes[offset..<offset + count])))
            offset += (count + 7) & ~7
        }
    }

    private func checkFeatures() throws(ImageError) {
        let known: [(bit: Int, name: String?)] = [
            (0, nil), (1, nil), (2, "external data file"), (3, nil), (4, "extended L2 entries"),
        ]
        for item in known where incompatible & (1 << UInt64(item.bit)) != 0 {
            if let name = item.name { throw .unsupported(feature: name) }
        }
        let unknown = incompatible & ~UInt64(0b11111)
        if unknown != 0 {
            let bit = unknown.trailingZeroBitCount
            throw .unsupported(feature: featureName(bit) ?? "incompatible feature bit \(bit)")
        }
        let stated = incompatible & ImageHeader.compressionBit != 0
        guard compression <= 1, stated == (compression != 0) else {
            throw .invalid(.compressionType, value: UInt64(compression), rule: "0 is zlib; 1 is zstd and needs its bit")
        }
    }

    /// What the image's own feature name table calls an incompatible bit.
    private func featureName(_ bit: Int) -> String? {
        for item in extensions where item.type == HeaderExtension.featureNames {
            var start = 0
            while start + 48 <= item.data.count {
                let isIncompatible = item.data[start] == 0
                if isIncompatible, Int(item.data[start + 1]) == bit {
                    let name = item.data[start + 2..<start + 48].prefix { $0 != 0 }
                    return String(validating: name, as: UTF8.self)
                }
                start += 48
            }
        }
        return nil
    }

    private func checkTables(_ fields: FieldReader) throws(ImageError) {
        // Signed file offsets end at 2^63, and an entry's offset field at 2^56.
        guard size <= 1 << 56 else { throw .invalid(.size, value: size, rule: "at most 2^56 bytes") }
        let l1Bytes = UInt64(l1Size) * 8
        guard l1Bytes <= ImageHeader.maximumL1Bytes else {
            throw .invalid(.l1Size, value: UInt64(l1Size), rule: "the L1 table has at most 32 MiB")
        }
        guard UInt64(l1Size) >= geometry.tables(for: size) else {
            throw .invalid(.l1Size, value: UInt64(l1Size), rule: "too small for a disk of \(size) bytes")
        }
        if l1Size > 0 { try fields.check(l1Offset, bytes: l1Bytes, .l1TableOffset, geometry) }
        let tableBytes = UInt64(refcountTableClusters) << UInt64(geometry.clusterBits)
        guard refcountTableClusters > 0, tableBytes <= ImageHeader.maximumRefcountTableBytes else {
            throw .invalid(.refcountTableClusters, value: UInt64(refcountTableClusters), rule: "1 byte to 8 MiB")
        }
        try fields.check(refcountTableOffset, bytes: tableBytes, .refcountTableOffset, geometry)
        guard snapshotCount <= 65_536 else {
            throw .invalid(.snapshotCount, value: UInt64(snapshotCount), rule: "at most 65536")
        }
        if snapshotCount > 0 {
            try fields.check(HostOffset(bytes: snapshotsOffset), bytes: 40, .snapshotsOffset, geometry)
        }
    }
}

/// Fields of the header, read with the field's name in every refusal.
private struct FieldReader {
    let bytes: BigEndianReader
    let fileBytes: UInt64

    init(bytes: [UInt8], fileBytes: UInt64) {
        self.bytes = BigEndianReader(bytes: bytes)
        self.fileBytes = fileBytes
    }

    func uint32(_ offset: Int, _ field: HeaderField) throws(ImageError) -> UInt32 {
        guard let value = bytes.uint32(offset) else {
            throw .truncated(field, needs: UInt64(offset + 4), has: fileBytes)
        }
        return value
    }

    func uint64(_ offset: Int, _ field: HeaderField) throws(ImageError) -> UInt64 {
        guard let value = bytes.uint64(offset) else {
            throw .truncated(field, needs: UInt64(offset + 8), has: fileBytes)
        }
        return value
    }

    /// A table must start at a cluster other than the first, and lie within the file.
    func check(
        _ offset: HostOffset, bytes: UInt64, _ field: HeaderField, _ geometry: Geometry
    ) throws(ImageError) {
        guard offset.bytes & geometry.clusterMask == 0, offset.bytes != 0 else {
            throw .invalid(field, value: offset.bytes, rule: "a table starts at a cluster other than the first")
        }
        guard offset.bytes <= fileBytes, bytes <= fileBytes - offset.bytes else {
            throw .invalid(field, value: offset.bytes, rule: "the table lies beyond the end of the file")
        }
    }
}
