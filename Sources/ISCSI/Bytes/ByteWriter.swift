/// Writes big-endian integers into bytes that the caller owns and lends for the length of a call.
///
/// What is written where is our own decision, so a place outside the bytes is a programmer's mistake and traps.
public struct ByteWriter {
    private let bytes: UnsafeMutableRawBufferPointer

    /// Takes the first `count` bytes and clears them, so that nothing left over from before goes out on the wire.
    public init(clearing bytes: UnsafeMutableRawBufferPointer, count: Int) {
        precondition(count >= 0 && count <= bytes.count, "the buffer is smaller than what is to be written")
        self.bytes = UnsafeMutableRawBufferPointer(rebasing: bytes[..<count])
        self.bytes.initializeMemory(as: UInt8.self, repeating: 0)
    }

    /// Number of bytes that can be written.
    public var count: Int { bytes.count }

    public func uint8(_ offset: Int, _ value: UInt8) {
        check(1, offset)
        bytes[offset] = value
    }

    public func uint16(_ offset: Int, _ value: UInt16) {
        check(2, offset)
        bytes.storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt16.self)
    }

    public func uint24(_ offset: Int, _ value: UInt32) {
        check(3, offset)
        bytes[offset] = UInt8(truncatingIfNeeded: value >> 16)
        bytes[offset + 1] = UInt8(truncatingIfNeeded: value >> 8)
        bytes[offset + 2] = UInt8(truncatingIfNeeded: value)
    }

    public func uint32(_ offset: Int, _ value: UInt32) {
        check(4, offset)
        bytes.storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt32.self)
    }

    public func uint64(_ offset: Int, _ value: UInt64) {
        check(8, offset)
        bytes.storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt64.self)
    }

    private func check(_ length: Int, _ offset: Int) {
        precondition(offset >= 0 && offset <= bytes.count - length, "a field outside the bytes that are written")
    }
}
