internal import Syscall
public import SystemPackage

/// The network namespace whose links, tables and routes are meant.
public enum NetworkLocation: Hashable, Sendable {
    /// The one this process is in.
    case own
    /// Another one: a name under /run/netns, or an absolute path.
    case namespace(String)

    /// Opens a netlink socket there.
    public func socket(_ family: NetlinkSocket.Family) throws(NetlinkError) -> NetlinkSocket {
        switch self {
        case .own: return try NetlinkSocket(family)
        case .namespace(let reference): return try NetlinkSocket(family, in: Self.open(reference))
        }
    }

    /// Opens a monitor there.
    public func monitor(_ subject: NetlinkMonitor.Subject) throws(NetlinkError) -> NetlinkMonitor {
        switch self {
        case .own: return try NetlinkMonitor(subject)
        case .namespace(let reference): return try NetlinkMonitor(subject, in: Self.open(reference))
        }
    }

    /// Runs a blocking call there: in place if it is our own namespace, else on a thread of its own.
    public func run<Value: Sendable>(_ body: @Sendable () -> Value) throws(Errno) -> Value {
        switch self {
        case .own: return body()
        case .namespace(let reference): return try NetworkNamespace(reference).run(body)
        }
    }

    private static func open(_ reference: String) throws(NetlinkError) -> NetworkNamespace {
        do throws(Errno) {
            return try NetworkNamespace(reference)
        } catch {
            throw NetlinkError(operation: "open network namespace", subject: reference, cause: .system(error))
        }
    }
}
