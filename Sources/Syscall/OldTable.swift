internal import Glibc
public import SystemPackage

/// A table of the old iptables as the kernel hands it out: rules one behind the other, in the form of
/// linux/netfilter_ipv4/ip_tables.h or linux/netfilter_ipv6/ip6_tables.h.
public struct OldTable: Hashable, Sendable {
    public let isIPv4: Bool
    /// Where the rules of each hook begin, by its number.
    public let starts: [UInt32]
    /// Where the last rule of each hook is, its policy.
    public let policies: [UInt32]
    public let entries: [UInt8]

    private init(isIPv4: Bool, starts: [UInt32], policies: [UInt32], entries: [UInt8]) {
        self.isIPv4 = isIPv4
        self.starts = starts
        self.policies = policies
        self.entries = entries
    }

    /// As it would be with its first bytes alone.
    public init(_ whole: OldTable, first count: Int) {
        self.init(
            isIPv4: whole.isIPv4, starts: whole.starts, policies: whole.policies,
            entries: Array(whole.entries.prefix(count)))
    }

    /// XT_TABLE_MAXNAMELEN.
    private static let nameLength = 32
    private static let hookCount = 5
    /// IPT_SO_GET_INFO and IPT_SO_GET_ENTRIES, and those of IPv6.
    private static let (getInfo, getEntries): (CInt, CInt) = (64, 65)

    /// Reads a table in the network namespace of the calling thread.
    ///
    /// - Returns: nil where it is not in force. It is not asked for then: the kernel would make it.
    public static func read(_ name: String, isIPv4: Bool) throws(Errno) -> OldTable? {
        guard try names(isIPv4: isIPv4).contains(Substring(name)) else { return nil }
        let family = isIPv4 ? AF_INET : AF_INET6
        let socket = Descriptor(
            adopting: try linuxCall {
                Glibc.socket(family, CInt(SOCK_RAW.rawValue) | CInt(SOCK_CLOEXEC.rawValue), CInt(IPPROTO_RAW))
            })
        let level = CInt(isIPv4 ? IPPROTO_IP : IPPROTO_IPV6)
        // name, valid_hooks, hook_entry[5], underflow[5], num_entries, size
        var info = [UInt8](name.utf8.prefix(nameLength - 1))
        info += [UInt8](repeating: 0, count: nameLength + 4 + 2 * hookCount * 4 + 8 - info.count)
        try option(socket.raw, level, getInfo, &info)
        func number(_ index: Int) -> UInt32 { word(info, at: nameLength + 4 * index) }
        let size = Int(number(2 + 2 * hookCount))
        // name, size, and the entries behind it at a multiple of eight
        let head = nameLength + 8
        var bytes = Array(info.prefix(nameLength)) + info.suffix(4) + [0, 0, 0, 0]
        bytes += [UInt8](repeating: 0, count: min(size, 64 << 20))
        // EAGAIN where somebody has changed it meanwhile: the next look sees it.
        try option(socket.raw, level, getEntries, &bytes)
        return OldTable(
            isIPv4: isIPv4, starts: (1...hookCount).map(number),
            policies: (1 + hookCount...2 * hookCount).map(number), entries: Array(bytes.dropFirst(head)))
    }

    /// The tables in force; none where the kernel has no old iptables.
    private static func names(isIPv4: Bool) throws(Errno) -> [Substring] {
        do throws(Errno) {
            let file = try File.open(
                isIPv4 ? "/proc/thread-self/net/ip_tables_names" : "/proc/thread-self/net/ip6_tables_names", .read)
            return String(decoding: try File.read(file, count: 4096, at: 0), as: UTF8.self).split(separator: "\n")
        } catch .noSuchFileOrDirectory {
            return []
        }
    }

    private static func option(
        _ socket: CInt, _ level: CInt, _ option: CInt, _ bytes: inout [UInt8]
    ) throws(Errno) {
        var length = socklen_t(bytes.count)
        try linuxCall { getsockopt(socket, level, option, &bytes, &length) }
    }

    private static func word(_ bytes: [UInt8], at offset: Int) -> UInt32 {
        bytes[offset..<offset + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }
}
