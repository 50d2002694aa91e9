import Glibc
import SystemPackage

/// A TCP port of 127.0.0.1 that is the test's own while this lives.
///
/// A socket is bound to it and does not listen: the kernel gives the port to nobody who leaves the choice to it, and
/// whoever names it under SO_REUSEADDR, as the product does, may listen on it as often as he wants
/// (net/ipv4/inet_connection_sock.c, inet_csk_get_port). A port that was merely found free is another test's soon.
final class ReservedPort: Sendable {
    let number: UInt16
    private let socket: CInt

    init() throws {
        socket = Glibc.socket(AF_INET, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        var yes: CInt = 1
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<CInt>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { [socket] address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(socket, address, length) == 0 && getsockname(socket, address, &length) == 0
            }
        }
        number = UInt16(bigEndian: address.sin_port)
        guard isBound else { throw Errno(rawValue: errno) }
    }

    deinit { close(socket) }
}
