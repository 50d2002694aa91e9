internal import Glibc
public import SystemPackage

/// A name that one socket at a time has in a network namespace: an abstract one (unix(7)), held.
///
/// It needs no file, is free again when its holder is gone, however that ended, and is another name in every network
/// namespace. The socket listens, so that the kernel tells everyone who has it; nothing is ever said on it.
public struct HeldName: ~Copyable, Sendable {
    private let listener: Descriptor

    /// Takes the name, without its `@`, in the network namespace of the calling thread.
    ///
    /// - Returns: nil if somebody has it.
    public static func take(_ name: String) throws(Errno) -> HeldName? {
        let socket = try UnixSocket.open(SOCK_STREAM, blocking: false)
        do throws(Errno) {
            try UnixSocket.withAddress("@" + name) { address, length throws(Errno) in
                try linuxCall { bind(socket.raw, address, length) }
            }
        } catch .addressInUse {
            return nil
        }
        try linuxCall { listen(socket.raw, SOMAXCONN) }
        return HeldName(listener: socket)
    }

    /// The process that has the name; nil if nobody has, or if it cannot be asked for just now.
    public static func holder(of name: String) throws(Errno) -> PeerProcess? {
        let socket = try UnixSocket.open(SOCK_STREAM, blocking: false)
        do throws(Errno) {
            try UnixSocket.withAddress("@" + name) { address, length throws(Errno) in
                try linuxCall { connect(socket.raw, address, length) }
            }
        } catch .connectionRefused {
            return nil
        } catch .resourceTemporarilyUnavailable {
            // So many have asked that the kernel keeps no more of them.
            return PeerProcess(id: 0, user: 0)
        }
        // struct ucred of unix(7): pid, uid, gid of whoever called listen(2).
        var credentials: (Int32, UInt32, UInt32) = (0, 0, 0)
        var length = socklen_t(MemoryLayout.size(ofValue: credentials))
        try linuxCall { getsockopt(socket.raw, SOL_SOCKET, SO_PEERCRED, &credentials, &length) }
        return PeerProcess(id: credentials.0, user: credentials.1)
    }

    /// Forgets those who have asked: the kernel keeps each until it is accepted.
    public func forgetAskers() throws(Errno) {
        let raw = listener.raw
        while true {
            do throws(Errno) {
                _ = Descriptor(adopting: try linuxCall { accept(raw, nil, nil) })
            } catch .resourceTemporarilyUnavailable {
                return
            }
        }
    }
}

/// The process at the other end of a socket.
public struct PeerProcess: Hashable, Sendable {
    /// 0 where it is not to be seen from here: it is in a PID namespace beside or above ours.
    public let id: Int32
    public let user: UInt32

    public init(id: Int32, user: UInt32) {
        self.id = id
        self.user = user
    }

    /// The words that it was started with (proc(5)), at most `limit` bytes of them; nil where they cannot be read.
    public func commandLine(limit: Int = 400) -> [String]? {
        guard id > 0 else { return nil }
        do throws(Errno) {
            let bytes = try File.read(try File.open(FilePath("/proc/\(id)/cmdline"), .read), count: limit, at: 0)
            let words = bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
            return words.isEmpty ? nil : words
        } catch {
            return nil
        }
    }
}
