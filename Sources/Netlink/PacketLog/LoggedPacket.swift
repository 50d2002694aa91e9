internal import CNetlink

/// A packet that a rule has logged to a group (linux/netfilter/nfnetlink_log.h, enum nfulnl_attr_type).
public struct LoggedPacket: Hashable, Sendable {
    public internal(set) var group: UInt16 = 0
    /// What the rule says of it.
    public internal(set) var prefix = ""
    /// The number of the hook at which the rule stands (linux/netfilter.h).
    public internal(set) var hook: UInt8 = 0
    /// The protocol that the payload begins with, as Ethernet numbers it: 0x0800 for IPv4.
    public internal(set) var etherType: UInt16 = 0
    /// The interface by which it came in (ifindex); of a bridged packet in family inet, the bridge.
    public internal(set) var input: UInt32?
    public internal(set) var output: UInt32?
    /// The port of the bridge by which it came in.
    public internal(set) var inputPort: UInt32?
    public internal(set) var outputPort: UInt32?
    public internal(set) var mark: UInt32 = 0
    /// The hardware header, where the kernel has one: of Ethernet 14 bytes.
    public internal(set) var hardwareHeader: [UInt8] = []
    /// The first bytes from the network header on.
    public internal(set) var payload: [UInt8] = []
    /// Counts the packets of the group, lost ones too.
    var sequence: UInt32?

    /// The packet in a message; nil for a message of another kind.
    init?(_ message: Message) {
        guard message.type == PacketLogMessage.type(NFULNL_MSG_PACKET), let header = message.header(as: nfgenmsg.self)
        else { return nil }
        group = UInt16(bigEndian: header.res_id)
        for attribute in message.attributes(after: nfgenmsg.self) {
            switch attribute.type {
            case Int(NFULA_PACKET_HDR.rawValue):
                guard let header = attribute.value(as: nfulnl_msg_packet_hdr.self) else { return nil }
                hook = header.hook
                etherType = UInt16(bigEndian: header.hw_protocol)
            case Int(NFULA_PREFIX.rawValue): prefix = attribute.text
            case Int(NFULA_IFINDEX_INDEV.rawValue): input = attribute.bigEndian()
            case Int(NFULA_IFINDEX_OUTDEV.rawValue): output = attribute.bigEndian()
            case Int(NFULA_IFINDEX_PHYSINDEV.rawValue): inputPort = attribute.bigEndian()
            case Int(NFULA_IFINDEX_PHYSOUTDEV.rawValue): outputPort = attribute.bigEndian()
            case Int(NFULA_MARK.rawValue): mark = attribute.bigEndian() ?? 0
            case Int(NFULA_HWHEADER.rawValue): hardwareHeader = attribute.bytes
            // In family bridge the kernel puts the header there, tags and all.
            case Int(NFULA_L2HDR.rawValue): hardwareHeader = attribute.bytes
            case Int(NFULA_PAYLOAD.rawValue): payload = attribute.bytes
            case Int(NFULA_SEQ.rawValue): sequence = attribute.bigEndian()
            default: break
            }
        }
    }
}

/// The numbers of nfnetlink_log's messages.
enum PacketLogMessage {
    static func type(_ message: nfulnl_msg_types) -> UInt16 {
        UInt16(NFNL_SUBSYS_ULOG) << 8 | UInt16(truncatingIfNeeded: message.rawValue)
    }
}
