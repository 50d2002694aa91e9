/// A 64-bit hash of a text that is the same on every machine and in every release.
///
/// FNV-1a, then the finaliser of SplitMix64 so that every output bit depends on every input byte. Names and MAC
/// addresses on running nodes are derived from it: it must never change.
public struct StableHash: Sendable {
    /// The hash, all 64 bits usable.
    public let value: UInt64

    /// The hash of a text.
    public init(_ text: String) {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in text.utf8 {
            hash ^= UInt64(byte)
            hash &*= 0x0000_0100_0000_01b3
        }
        hash = (hash ^ (hash >> 30)) &* 0xbf58_476d_1ce4_e5b9
        hash = (hash ^ (hash >> 27)) &* 0x94d0_49bb_1331_11eb
        value = hash ^ (hash >> 31)
    }

    /// The lowest `5 * length` bits in lower-case base 32 (digits and letters without i, l, o, u).
    func base32(length: Int) -> String {
        let alphabet: [UInt8] = Array("0123456789abcdefghjkmnpqrstvwxyz".utf8)
        var rest = value
        var digits: [UInt8] = []
        for _ in 0..<length {
            digits.append(alphabet[Int(rest & 31)])
            rest >>= 5
        }
        return String(decoding: digits, as: UTF8.self)
    }
}
