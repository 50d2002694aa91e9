/// One `key=value` of a text segment.
public struct TextPair: Equatable, Sendable {
    public let key: String
    public let value: String

    public init(key: String, value: String) {
        self.key = key
        self.value = value
    }
}

/// Why a text segment cannot be read as keys (RFC 7143 section 6.1).
public enum TextError: Error, Equatable, Sendable, CustomStringConvertible {
    case noValue
    case keyTooLong
    case notText
    case tooManyKeys
    case tooLong

    public var description: String {
        switch self {
        case .noValue: "a text key without a value"
        case .keyTooLong: "a text key without a name, or with one of more than 63 bytes"
        case .notText: "text that is not UTF-8"
        case .tooManyKeys: "more than \(TextKeys.maxPairs) text keys in one request"
        case .tooLong: "more than \(TextKeys.maxBytes) bytes of text in one request"
        }
    }
}

/// Reads and writes the NUL-separated `key=value` lists of login and text PDUs (RFC 7143 section 6.1).
public enum TextKeys {
    /// Text that one request may have in all its continued PDUs together. Who sends it may be a stranger yet.
    public static let maxBytes = 8192
    /// Keys in one request. Every answer to one is at most 80 bytes, so that all of them fit into one PDU.
    public static let maxPairs = 64
    static let maxKeyBytes = 63

    /// The pairs in the order in which they stand. NUL bytes at the end, and several in a row, are padding.
    public static func parse(_ bytes: [UInt8]) throws(TextError) -> [TextPair] {
        guard bytes.count <= maxBytes else { throw .tooLong }
        var pairs: [TextPair] = []
        for line in bytes.split(separator: 0) {
            guard pairs.count < maxPairs else { throw .tooManyKeys }
            guard let equals = line.firstIndex(of: UInt8(ascii: "=")) else { throw .noValue }
            let name = line[..<equals]
            guard !name.isEmpty, name.count <= maxKeyBytes else { throw .keyTooLong }
            guard let key = String(validating: name, as: UTF8.self),
                let value = String(validating: line[(equals + 1)...], as: UTF8.self)
            else { throw .notText }
            pairs.append(TextPair(key: key, value: value))
        }
        return pairs
    }

    /// The bytes of the pairs, each with the NUL that ends it.
    public static func bytes(_ pairs: [TextPair]) -> [UInt8] {
        var bytes: [UInt8] = []
        for pair in pairs {
            bytes.append(contentsOf: pair.key.utf8)
            bytes.append(UInt8(ascii: "="))
            bytes.append(contentsOf: pair.value.utf8)
            bytes.append(0)
        }
        return bytes
    }
}
