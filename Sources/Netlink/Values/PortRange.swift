/// One port, `8443`, or several in a row, `8000-8010`.
public struct PortRange: Hashable, Sendable, LosslessStringConvertible {
    /// The lowest port.
    public let first: UInt16
    /// The highest port; not below the first.
    public let last: UInt16

    /// From the first to the last.
    public init(_ first: UInt16, _ last: UInt16) {
        precondition(first <= last, "a range of ports is not empty")
        self.first = first
        self.last = last
    }

    public init?(_ description: String) {
        let parts = description.split(separator: "-", omittingEmptySubsequences: false).map(Self.port)
        guard parts.count <= 2, let first = parts[0], let last = parts[parts.count - 1], first <= last else {
            return nil
        }
        self.first = first
        self.last = last
    }

    /// 1 to 65535 in plain digits.
    public static func port(_ text: Substring) -> UInt16? {
        guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        guard text.utf8.first != 0x30 else { return nil }
        return UInt16(text)
    }

    public var count: Int { Int(last) - Int(first) + 1 }

    public var description: String { first == last ? "\(first)" : "\(first)-\(last)" }
}
