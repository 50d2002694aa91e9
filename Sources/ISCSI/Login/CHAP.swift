internal import Crypto

/// The hash that a CHAP response is made with, by its number in CHAP_A (RFC 7143 section 12.1.3, IANA's registry).
public enum CHAPAlgorithm: UInt8, Sendable, CaseIterable {
    case md5 = 5
    case sha1 = 6
    case sha256 = 7
    case sha3 = 8

    /// Bytes of a response.
    public var size: Int {
        switch self {
        case .md5: 16
        case .sha1: 20
        case .sha256, .sha3: 32
        }
    }

    /// The proof that one knows the secret: the hash of identifier, secret and challenge (RFC 1994 section 4.1).
    public func response(identifier: UInt8, secret: [UInt8], challenge: [UInt8]) -> [UInt8] {
        let message = [identifier] + secret + challenge
        return switch self {
        case .md5: Array(Insecure.MD5.hash(data: message))
        case .sha1: Array(Insecure.SHA1.hash(data: message))
        case .sha256: Array(SHA256.hash(data: message))
        case .sha3: Array(SHA3_256.hash(data: message))
        }
    }
}

/// Whether two byte strings are equal, in a time that depends on their lengths alone.
func equalInConstantTime(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    guard left.count == right.count else { return false }
    var difference: UInt8 = 0
    for index in left.indices { difference |= left[index] ^ right[index] }
    return difference == 0
}
