internal import CLinux
internal import Glibc
public import SystemPackage

/// A network namespace held open by a descriptor, so that calls can be made inside it.
///
/// A thread belongs to a namespace, a Swift task does not belong to a thread: calls inside run on a thread of their
/// own that lives as long as the call. A socket stays in the namespace it was opened in, whoever uses it later.
public struct NetworkNamespace: ~Copyable, Sendable {
    private let descriptor: Descriptor

    /// Opens the namespace that `ip netns` keeps under /run/netns by this name, or the one at an absolute path.
    ///
    /// - Throws: ENOENT if there is none; EINVAL for a name with a '/' in it, or a name of one or two dots.
    public init(_ reference: String) throws(Errno) {
        if reference.utf8.first != UInt8(ascii: "/") {
            let legal =
                !reference.isEmpty && reference != "." && reference != ".."
                && !reference.utf8.contains(where: {
                    $0 == UInt8(ascii: "/") || $0 == 0
                })
            guard legal else { throw .invalidArgument }
            try self.init(path: "/run/netns/" + reference)
        } else {
            try self.init(path: reference)
        }
    }

    private init(path: String) throws(Errno) {
        descriptor = Descriptor(adopting: try linuxCall { open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) })
    }

    /// The descriptor's number, for IFLA_NET_NS_FD. It stays valid as long as this owner lives.
    public var raw: CInt { descriptor.raw }

    /// Device and inode of the namespace: equal for two descriptors of one.
    public func identity() throws(Errno) -> [UInt64] {
        let status = try File.status(descriptor)
        return [status.device, status.inode]
    }

    /// Runs a blocking call inside the namespace and waits for it.
    ///
    /// - Throws: the errno of thread creation or of setns(2): EPERM without CAP_SYS_ADMIN, EINVAL if the descriptor is
    ///   not a network namespace.
    public func run<Value: Sendable>(_ body: @Sendable () -> Value) throws(Errno) -> Value {
        let target = descriptor.raw
        let outcome: Result<Value, Errno> = withoutActuallyEscaping(body) { body in
            let visit = Visit<Value> { () throws(Errno) -> Value in
                try linuxCall { sda_enter_network_namespace(target) }
                return body()
            }
            return visit.run()
        }
        return try outcome.get()
    }
}

extension NetworkNamespace {
    /// Runs a blocking call in a new, empty network namespace and waits for it.
    ///
    /// The namespace lives as long as the call and what it leaves open; with it goes whatever was made in it. The
    /// kernel tidies up behind the caller's back.
    /// - Throws: the errno of thread creation or of unshare(2): EPERM without CAP_SYS_ADMIN, ENOSPC if the user has
    ///   too many (user.max_net_namespaces).
    public static func runInNew<Value: Sendable>(_ body: @Sendable () -> Value) throws(Errno) -> Value {
        let outcome: Result<Value, Errno> = withoutActuallyEscaping(body) { body in
            let visit = Visit<Value> { () throws(Errno) -> Value in
                try linuxCall { sda_new_network_namespace() }
                return body()
            }
            return visit.run()
        }
        return try outcome.get()
    }
}

/// One call on a thread of its own.
private final class Visit<Value: Sendable> {
    private let body: () throws(Errno) -> Value
    private var outcome: Result<Value, Errno> = .failure(.resourceTemporarilyUnavailable)

    init(_ body: @escaping () throws(Errno) -> Value) { self.body = body }

    /// Starts the thread and joins it, so nothing outlives the call and no two threads touch `outcome` at a time.
    func run() -> Result<Value, Errno> {
        var thread = pthread_t()
        let start = ThreadStart { [self] in
            do throws(Errno) {
                outcome = .success(try body())
            } catch {
                outcome = .failure(error)
            }
        }
        let context = Unmanaged.passRetained(start)
        let code = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<ThreadStart>.fromOpaque(context).takeRetainedValue().body()
                return nil
            }, context.toOpaque())
        guard code == 0 else {
            context.release()
            return .failure(Errno(rawValue: code))
        }
        pthread_join(thread, nil)
        return outcome
    }
}

/// What a new thread is to do, boxed for its C entry point.
private final class ThreadStart {
    let body: () -> Void
    init(_ body: @escaping () -> Void) { self.body = body }
}
