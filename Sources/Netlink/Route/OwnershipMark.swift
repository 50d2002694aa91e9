/// How objects of the kernel are known as ours, whichever process looks: there is no file that lists them.
public enum OwnershipMark {
    /// The protocol number on routes, rules and addresses of ours: free in /etc/iproute2/rt_protos.
    public static let protocolNumber: UInt8 = 201

    /// The alias of a link of ours: "sdagent nic/vm1/net0". The kernel keeps at most 255 bytes.
    public static func alias(kind: String, name: String) -> String { "\(prefix)\(kind)/\(name)" }

    /// The resource name in an alias of ours, if it is of that kind.
    public static func name(inAlias alias: String, kind: String) -> String? {
        let start = "\(prefix)\(kind)/"
        guard alias.hasPrefix(start) else { return nil }
        return String(alias.dropFirst(start.count))
    }

    private static let prefix = "sdagent "
}
