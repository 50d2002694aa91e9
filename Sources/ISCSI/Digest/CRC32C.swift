internal import CLinux

/// The header and data digest of a connection (RFC 7143 section 13.1): CRC32C over header segments, or over a data
/// segment with its padding. On the wire the digest follows what it covers, least significant byte first.
public enum CRC32C {
    /// Bytes that a digest takes on the wire.
    public static let size = 4

    /// The CRC of `bytes`, continuing from that of the bytes before them.
    public static func checksum(_ bytes: UnsafeRawBufferPointer, continuing crc: UInt32 = 0) -> UInt32 {
        sda_crc32c(crc, bytes.baseAddress, bytes.count)
    }

    /// The CRC by table, without the processor's instruction; slower, otherwise equal to `checksum`.
    static func portableChecksum(_ bytes: UnsafeRawBufferPointer, continuing crc: UInt32 = 0) -> UInt32 {
        sda_crc32c_portable(crc, bytes.baseAddress, bytes.count)
    }

    /// Writes a digest as it stands on the wire, into the four bytes at `offset`.
    public static func store(_ crc: UInt32, into bytes: UnsafeMutableRawBufferPointer, at offset: Int = 0) {
        precondition(offset >= 0 && offset <= bytes.count - size, "no room for a digest")
        bytes.storeBytes(of: crc.littleEndian, toByteOffset: offset, as: UInt32.self)
    }

    /// Reads a digest from the wire; nil when fewer than four bytes stand at `offset`.
    public static func load(_ bytes: UnsafeRawBufferPointer, at offset: Int = 0) -> UInt32? {
        guard offset >= 0, offset <= bytes.count - size else { return nil }
        return UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }
}
