internal import CNetlink

/// An owned socket that receives the packets which rules log to one group (`NFLog.group`).
///
/// The owner polls `descriptor` for reading and then calls `drain`. Memory is bounded: what the socket's buffer does
/// not hold is lost, and its number is told. A group has one listener in a network namespace; a second is refused
/// (EBUSY).
public struct PacketLog: ~Copyable, Sendable {
    private var socket: NetlinkSocket
    private let group: UInt16
    /// The number that the next packet has if none is lost; nil before the first.
    private var expected: UInt32?

    /// More of a packet is never asked for.
    public static let maximumSnapLength: UInt32 = 4096

    /// Listens to a group, from now on.
    ///
    /// - Parameter snapLength: how many bytes of each packet are handed over, unless its rule says fewer.
    public init(group: UInt16, snapLength: UInt32 = 128, in location: NetworkLocation = .own) throws(NetlinkError) {
        var socket = try location.socket(.netfilter)
        var request = MessageWriter()
        Self.configure(&request, group) {
            $0.attribute(
                Int(NFULA_CFG_CMD.rawValue), bytes: CollectionOfOne(UInt8(NFULNL_CFG_CMD_BIND.rawValue)))
        }
        Self.configure(&request, group) { writer in
            let range = min(snapLength, Self.maximumSnapLength)
            writer.attribute(
                Int(NFULA_CFG_MODE.rawValue),
                bytes: (0..<4).map { UInt8(truncatingIfNeeded: range >> (24 - 8 * $0)) }
                    + [UInt8(NFULNL_COPY_PACKET), 0])
            // Numbered, so that what is lost can be counted.
            writer.attribute(Int(NFULA_CFG_FLAGS.rawValue), bigEndian: UInt16(NFULNL_CFG_F_SEQ))
            // Told within 100 ms (the unit is 10 ms), or when 8 KiB of them have come.
            writer.attribute(Int(NFULA_CFG_TIMEOUT.rawValue), bigEndian: UInt32(10))
            writer.attribute(Int(NFULA_CFG_NLBUFSIZ.rawValue), bigEndian: UInt32(8 << 10))
        }
        for case let error? in try socket.request(request) { throw error.about("group \(group)") }
        self.socket = socket
        self.group = group
    }

    private static func configure(
        _ request: inout MessageWriter, _ group: UInt16, _ body: (inout AttributeWriter) -> Void
    ) {
        request.message(PacketLogMessage.type(NFULNL_MSG_CONFIG), operation: "listen to logged packets") {
            $0.append(
                nfgenmsg(nfgen_family: UInt8(AF_UNSPEC), version: UInt8(NFNETLINK_V0), res_id: group.bigEndian))
            body(&$0)
        }
    }

    /// The number to poll for reading; it stays valid as long as this owner lives.
    public var descriptor: CInt { socket.descriptor }

    /// What one call of `drain` has found.
    public struct Drained: Hashable, Sendable {
        /// The packets that were handed over.
        public var packets = 0
        /// The packets that were logged before these and are lost: they came faster than they were taken.
        public var lost = 0
        /// Whether the limit was reached, so that there may be more.
        public var isLimited = false
    }

    /// Takes the packets that are there, without waiting; at most so many and what came with the last of them.
    public mutating func drain(
        limit: Int = 1000, _ body: (LoggedPacket) -> Void
    ) throws(NetlinkError) -> Drained {
        var drained = Drained()
        var expected = expected
        let group = group
        while drained.packets < limit {
            do throws(NetlinkError) {
                try socket.receive(operation: "read logged packets", timeout: 0) { message throws(NetlinkError) in
                    guard let packet = LoggedPacket(message), packet.group == group else { return }
                    if let sequence = packet.sequence {
                        if let expected { drained.lost += max(0, Int(Int32(bitPattern: sequence &- expected))) }
                        expected = sequence &+ 1
                    }
                    drained.packets += 1
                    body(packet)
                }
            } catch {
                switch error.cause {
                case .timedOut:
                    self.expected = expected
                    return drained
                // Some were lost (ENOBUFS): the number of the next one tells how many.
                case .overrun: continue
                default: throw error
                }
            }
        }
        self.expected = expected
        drained.isLimited = true
        return drained
    }
}
