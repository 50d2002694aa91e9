/// A differentiated services code point (RFC 2474), by which networks know how a packet is to be treated.
public struct CodePoint: Hashable, Sendable, LosslessStringConvertible {
    /// From 0 to 63.
    public let number: UInt8

    /// By its name in IANA's registry, or by its number.
    public init?(_ description: String) {
        if let number = Self.names.first(where: { $0.value == description })?.key {
            self.number = number
            return
        }
        guard let number = UInt8(description), number < 64, "\(number)" == description else { return nil }
        self.number = number
    }

    public var description: String { Self.names[number] ?? "\(number)" }

    /// RFC 2474, 2597, 3246, 5865 and 8622.
    private static let names: [UInt8: String] = [
        0: "cs0", 8: "cs1", 16: "cs2", 24: "cs3", 32: "cs4", 40: "cs5", 48: "cs6", 56: "cs7",
        10: "af11", 12: "af12", 14: "af13", 18: "af21", 20: "af22", 22: "af23",
        26: "af31", 28: "af32", 30: "af33", 34: "af41", 36: "af42", 38: "af43",
        1: "le", 44: "va", 46: "ef",
    ]
}
