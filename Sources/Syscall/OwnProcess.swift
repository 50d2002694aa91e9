internal import CLinux
internal import Glibc
public import SystemPackage

/// What this process is and may do.
public enum OwnProcess {
    public static var id: Int32 { getpid() }
    /// The user whose rights the process has.
    public static var user: UInt32 { geteuid() }

    /// A capability of capabilities(7), by its bit.
    public enum Capability: UInt64, Sendable {
        case networkAdministration = 12
        case systemAdministration = 21

        /// The name that the kernel's documents use.
        public var name: String {
            switch self {
            case .networkAdministration: "CAP_NET_ADMIN"
            case .systemAdministration: "CAP_SYS_ADMIN"
            }
        }
    }

    /// Whether the process holds a capability now: its bit in `CapEff` of /proc/self/status (proc(5)).
    public static func holds(_ capability: Capability) throws(Errno) -> Bool {
        let file = try File.open("/proc/self/status", .read)
        let text = String(decoding: try File.read(file, count: 16 * 1024, at: 0), as: UTF8.self)
        let line = text.split(separator: "\n").first { $0.hasPrefix("CapEff:") }
        let digits = line?.dropFirst(7).drop { $0 == "\t" || $0 == " " }
        guard let digits, let bits = UInt64(digits, radix: 16) else { throw .notSupported }
        return bits & (1 << capability.rawValue) != 0
    }

    /// Has all threads take their memory from one heap, and give large blocks back at once. Else what one has freed is
    /// kept for that one: a large manifest would be paid for once for each thread that ever read one.
    public static func useOneHeap() { sda_use_one_heap() }

    /// Gives what is free on the heap back to the kernel.
    public static func returnMemory() { sda_trim_heap() }

    /// Whether a descriptor of this process is a terminal.
    public static func isTerminal(_ descriptor: CInt) -> Bool { isatty(descriptor) == 1 }

    /// The folder that relative paths start from.
    public static func workingDirectory() throws(Errno) -> String {
        guard let path = getcwd(nil, 0) else { throw lastError() }
        defer { free(path) }
        return String(cString: path)
    }

    /// The permission bits that files made by this process never get: umask(2).
    public static func setCreationMask(_ mask: UInt16) { _ = umask(mode_t(mask)) }
}
