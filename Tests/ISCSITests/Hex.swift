import Testing

@testable import ISCSI

/// Bytes from hexadecimal digits; what follows `//` on a line is a comment that names the field.
func hex(_ text: String, _ location: SourceLocation = #_sourceLocation) -> [UInt8] {
    let digits = text.split(separator: "\n").flatMap { line -> [Character] in
        let code = line.range(of: "//").map { line[..<$0.lowerBound] } ?? line
        return code.filter { !$0.isWhitespace }
    }
    #expect(digits.count % 2 == 0, "an odd number of digits", sourceLocation: location)
    return stride(from: 0, to: digits.count - 1, by: 2).compactMap { UInt8(String(digits[$0...($0 + 1)]), radix: 16) }
}

extension Substring {
    fileprivate func range(of mark: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(mark) { return start..<index(start, offsetBy: mark.count) }
            start = index(after: start)
        }
        return nil
    }
}

/// Bytes as lines of four, for a failure that can be read.
func words(_ bytes: some Sequence<UInt8>) -> String {
    bytes.enumerated().map { index, byte in
        (index % 4 == 0 && index > 0 ? "\n" : "") + (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }.joined()
}

/// The 48 bytes that an encoder writes; the buffer is full of ones before, so that a field left out shows.
func encoded(_ encode: (UnsafeMutableRawBufferPointer) -> Void) -> [UInt8] {
    var bytes = [UInt8](repeating: 0xff, count: BasicHeader.size)
    bytes.withUnsafeMutableBytes { encode($0) }
    return bytes
}

/// A value decoded from bytes that are there for as long as the call lasts.
func decoded<Value>(_ bytes: [UInt8], _ decode: (UnsafeRawBufferPointer) -> Value) -> Value {
    bytes.withUnsafeBytes { decode($0) }
}
