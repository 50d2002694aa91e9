internal import CNetlink
internal import Glibc
internal import Syscall
internal import SystemPackage

/// A filter in the kernel that leaves out of a monitor's events what was learned: of neighbours and forwarding entries
/// it lets through only those that somebody has set. All other events pass.
///
/// A classic BPF program (linux/filter.h) over the message: its type at byte 4, and of ndmsg the family at 16 and the
/// state at 24, of which the low byte tells all. Both machines that we build for keep the low byte first. Attributes
/// follow at 28. A neighbour that goes has the state NUD_FAILED by then; one with an owner was set by somebody.
enum NeighbourFilter {
    /// Attaches it to a netlink socket.
    static func attach(to socket: CInt) throws(Errno) {
        var program = program
        try program.withUnsafeMutableBufferPointer { (program) throws(Errno) -> Void in
            var filter = sock_fprog(len: UInt16(program.count), filter: program.baseAddress)
            let size = socklen_t(MemoryLayout<sock_fprog>.size)
            try linuxCall { setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &filter, size) }
        }
    }

    /// Where jumps lead: so many instructions further than the next one.
    private static let program: [sock_filter] = [
        load(byte: 4),
        jump(BPF_JEQ, Int32(RTM_NEWNEIGH), ifSo: 1, else: 0),
        jump(BPF_JEQ, Int32(RTM_DELNEIGH), ifSo: 0, else: 9),
        sock_filter(code: UInt16(BPF_LDX | BPF_IMM), jt: 0, jf: 0, k: UInt32(NDA_PROTOCOL)),
        sock_filter(code: UInt16(BPF_LD | BPF_IMM), jt: 0, jf: 0, k: 28),
        // Where from byte 28 on there is an attribute of that type; 0 if there is none.
        load(byte: UInt32(bitPattern: SKF_AD_OFF + SKF_AD_NLATTR)),
        jump(BPF_JEQ, 0, ifSo: 0, else: 5),
        load(byte: 24),
        jump(BPF_JSET, NUD_PERMANENT, ifSo: 3, else: 0),
        // A static entry of a bridge; of an IP neighbour it is a multicast address, which comes and goes by itself.
        jump(BPF_JSET, NUD_NOARP, ifSo: 0, else: 3),
        load(byte: 16),
        jump(BPF_JEQ, AF_BRIDGE, ifSo: 0, else: 1),
        answer(.max),
        answer(0),
    ]

    private static func load(byte offset: UInt32) -> sock_filter {
        sock_filter(code: UInt16(BPF_LD | BPF_B | BPF_ABS), jt: 0, jf: 0, k: offset)
    }

    private static func jump(_ test: Int32, _ value: Int32, ifSo: UInt8, else otherwise: UInt8) -> sock_filter {
        sock_filter(code: UInt16(BPF_JMP | test | BPF_K), jt: ifSo, jf: otherwise, k: UInt32(bitPattern: value))
    }

    /// How many bytes of the message pass.
    private static func answer(_ bytes: UInt32) -> sock_filter {
        sock_filter(code: UInt16(BPF_RET | BPF_K), jt: 0, jf: 0, k: bytes)
    }
}
