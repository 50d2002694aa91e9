/// A view of foreign bytes as big-endian integers, borrowed from the buffer that holds them for the length of a call.
///
/// Total: an integer that does not lie wholly inside the bytes reads as zero, so that no length on the wire can trap.
/// Whoever needs to tell "absent" from "zero" asks `has` first.
public struct ByteReader {
    private let bytes: UnsafeRawBufferPointer

    public init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    /// Number of bytes in the view.
    public var count: Int { bytes.count }

    /// Whether `length` bytes lie inside the view from `offset` on.
    public func has(_ length: Int, at offset: Int) -> Bool {
        offset >= 0 && length >= 0 && length <= bytes.count &- offset && offset <= bytes.count
    }

    /// The part of the view that starts at `offset` and has at most `length` bytes.
    public func slice(at offset: Int, count length: Int) -> UnsafeRawBufferPointer {
        guard has(0, at: offset), length > 0 else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + min(length, bytes.count - offset)])
    }

    public func uint8(_ offset: Int) -> UInt8 {
        has(1, at: offset) ? bytes[offset] : 0
    }

    public func uint16(_ offset: Int) -> UInt16 {
        guard has(2, at: offset) else { return 0 }
        return UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }

    public func uint24(_ offset: Int) -> UInt32 {
        guard has(3, at: offset) else { return 0 }
        return UInt32(bytes[offset]) << 16 | UInt32(bytes[offset + 1]) << 8 | UInt32(bytes[offset + 2])
    }

    public func uint32(_ offset: Int) -> UInt32 {
        guard has(4, at: offset) else { return 0 }
        return UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    public func uint64(_ offset: Int) -> UInt64 {
        guard has(8, at: offset) else { return 0 }
        return UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
}
