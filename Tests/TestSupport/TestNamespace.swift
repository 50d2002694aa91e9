internal import Glibc
internal import Synchronization

/// A network namespace of one test's own, gone when the test ends. Needs root.
public struct TestNamespace: Sendable {
    /// Its name under /run/netns, unique on the machine.
    public let name: String

    /// Whether this process may make one: for `.enabled(if:)`, so that a skip is printed.
    public static let isPossible = geteuid() == 0

    private static let serial = Mutex(0)

    /// Makes a namespace with its loopback up, runs the body and takes the namespace away again.
    public static func with<Value>(_ body: (TestNamespace) async throws -> Value) async throws -> Value {
        let number = serial.withLock { serial in
            serial += 1
            return serial
        }
        let namespace = TestNamespace(name: "\(Launcher.mark)\(number)")
        try await output(of: ["ip", "netns", "add", namespace.name])
        do {
            try await namespace.run("ip", "link", "set", "lo", "up")
            let value = try await body(namespace)
            try await output(of: ["ip", "netns", "delete", namespace.name])
            return value
        } catch {
            _ = try await command(["ip", "netns", "delete", namespace.name])
            throw error
        }
    }

    /// Runs a command inside that must succeed, and returns its standard output.
    ///
    /// By nsenter(1), not `ip netns exec`, which would hide /sys.
    @discardableResult
    public func run(_ words: String..., seconds: Int = 60) async throws -> String {
        try await output(of: inside(words), seconds: seconds)
    }

    /// Runs a command inside that may fail.
    public func attempt(_ words: String..., seconds: Int = 60) async throws -> CommandResult {
        try await command(inside(words), seconds: seconds)
    }

    /// Waits until every IPv6 address inside has its local route, for at most 20 s.
    ///
    /// The kernel adds it, and the anycast address of a forwarding link, from a queue of its own when it has found that
    /// the address is nobody else's, or need not look (net/ipv6/addrconf.c, addrconf_dad_work).
    /// - Returns: whether they have.
    public func settle() async throws -> Bool {
        try await eventually(within: 20) {
            let words = try await run("ip", "-6", "-oneline", "address").split(whereSeparator: \.isWhitespace)
            let routes = try await run("ip", "-6", "route", "show", "table", "local")
            return zip(words, words.dropFirst()).allSatisfy { word, next in
                word != "inet6" || routes.contains("local \(next.prefix { $0 != "/" }) dev ")
            }
        }
    }

    /// The words of a command that runs inside.
    public func inside(_ words: [String]) -> [String] { ["nsenter", "--net=/run/netns/\(name)"] + words }
}
