internal import Glibc

/// More references to the open files of this process that lead to one path, as a child has between fork and exec: what
/// the kernel ties to the last one, such as a lock, stays while this lives.
public final class Lingering: Sendable {
    private let descriptors: [CInt]

    /// How many there are.
    public var count: Int { descriptors.count }

    /// - Parameter path: absolute, without symbolic links.
    public init(_ path: String) {
        let found = (0..<4096).filter { Self.target($0) == path }
        descriptors = found.map { fcntl($0, F_DUPFD_CLOEXEC, 0) }.filter { $0 >= 0 }
    }

    deinit { for descriptor in descriptors { close(descriptor) } }

    /// Where a descriptor leads; empty where there is none of that number.
    private static func target(_ number: CInt) -> String {
        var target = [CChar](repeating: 0, count: 4096)
        let length = max(0, readlink("/proc/self/fd/\(number)", &target, target.count))
        return String(decoding: target.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
