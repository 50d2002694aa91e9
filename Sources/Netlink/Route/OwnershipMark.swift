/// How objects of the kernel are known as ours, whichever process looks: there is no file that lists them.
public enum OwnershipMark {
    /// The protocol number on routes, rules and addresses of ours: free in /etc/iproute2/rt_protos.
    public static let protocolNumber: UInt8 = 201

    /// The alias of a link of ours: "sdagent nic/vm1/net0". The kernel keeps at most 255 bytes.
    public static func alias(kind: String, name: String) -> String { "\(prefix)\(kind)/\(name)" }

    /// The resource name in an alias of ours, if it is of that kind.
    public static func name(inAlias alias: String, kind: String) -> String? {
        // Asked of thousands of links several times at each look: bytes are compared, and nothing is put together.
        var rest = Substring(alias).utf8
        guard rest.drop(prefix.utf8), rest.drop(kind.utf8), rest.drop("/".utf8) else { return nil }
        return String(Substring(rest))
    }

    private static let prefix = "sdagent "
}

extension Substring.UTF8View {
    /// Drops these bytes where it begins with them; says whether it does.
    fileprivate mutating func drop(_ bytes: String.UTF8View) -> Bool {
        guard starts(with: bytes) else { return false }
        self = dropFirst(bytes.count)
        return true
    }
}
