/// The name of a network interface as the kernel accepts it: 1 to 15 bytes, no '/', ':', '%' and no white space.
///
/// The rules are those of `dev_valid_name` in the kernel's net/core/dev.c; '%' is refused because the kernel takes a
/// name with it for a template ("tap%d"), `all` and `default` because they name no link among the settings of links
/// (`sysctl_dev_name_is_allowed`). Fifteen bytes always fit Swift's inline string: a name allocates nothing.
public struct InterfaceName: Hashable, Comparable, Sendable, LosslessStringConvertible {
    /// The longest name in bytes: IFNAMSIZ less its NUL.
    public static let maximumLength = 15

    /// The name as text.
    public let description: String

    /// The name, if it is one.
    public init?(_ description: String) {
        var text = description
        let legal = text.withUTF8 { Self.isLegal($0) }
        guard legal else { return nil }
        self.description = text
    }

    /// The name in a netlink attribute of the kernel.
    ///
    /// Another program may have made a link whose name is not UTF-8. It is shown with '?' for such bytes; nothing is
    /// ever done to it by that name.
    init?(wire bytes: UnsafeRawBufferPointer) {
        let text = bytes.prefix { $0 != 0 }
        if Self.isLegal(text) {
            description = String(decoding: text, as: UTF8.self)
            return
        }
        guard (1...Self.maximumLength).contains(text.count) else { return nil }
        description = String(decoding: text.map { Self.isPlain($0) ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
    }

    private init(unchecked text: String) { description = text }

    /// The text itself where it is a legal name and not the loopback's, else a readable prefix of it, '-' and seven
    /// characters of hash.
    ///
    /// The same text gives the same name on every node and in every release.
    public static func derived(from text: String) -> InterfaceName {
        if text != "lo", let name = InterfaceName(text) { return name }
        var prefix = text.utf8.filter { isPlain($0) }.prefix(7)
        while prefix.last == UInt8(ascii: "-") { prefix = prefix.dropLast() }
        if prefix.isEmpty { prefix = Array("if".utf8)[...] }
        let hash = StableHash(text).base32(length: 7)
        return InterfaceName(unchecked: String(decoding: prefix, as: UTF8.self) + "-" + hash)
    }

    public static func < (left: InterfaceName, right: InterfaceName) -> Bool { left.description < right.description }

    private static func isLegal(_ bytes: some Collection<UInt8>) -> Bool {
        guard (1...maximumLength).contains(bytes.count) else { return false }
        let dot = UInt8(ascii: ".")
        if bytes.allSatisfy({ $0 == dot }) && bytes.count <= 2 { return false }
        if bytes.elementsEqual("all".utf8) || bytes.elementsEqual("default".utf8) { return false }
        return bytes.allSatisfy(isPlain)
    }

    /// Printable ASCII that the kernel takes in a name. Other bytes are legal to the kernel but to no other tool.
    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "/"), UInt8(ascii: ":"), UInt8(ascii: "%"): false
        default: byte > 0x20 && byte < 0x7f
        }
    }
}
