public import Netlink

/// A field of a packet's headers: where it lies, and how long it is.
public struct HeaderField: Hashable, Sendable {
    private let base: NFPayloadBase
    private let offset: UInt32
    private let length: UInt32

    public init(_ base: NFPayloadBase, offset: UInt32, length: UInt32) {
        self.base = base
        self.offset = offset
        self.length = length
    }

    /// Brings the field into a register and those behind it.
    public func load(into register: NFRegister) -> NFExpression {
        .payload(base, offset: offset, length: length, into: register)
    }

    /// Goes on only if the field has this value, in the order of the network. Register 0 takes the field.
    public func equals(_ bytes: [UInt8]) -> [NFExpression] { [load(into: 0), .compare(0, .equal, bytes)] }

    public func equals(_ number: UInt16) -> [NFExpression] {
        equals([UInt8(number >> 8), UInt8(truncatingIfNeeded: number)])
    }
}

/// IEEE 802.3. The type is that of the frame, not `meta protocol`: the kernel takes a tag off before that, and puts it
/// back here.
extension HeaderField {
    public static let etherDestination = HeaderField(.link, offset: 0, length: 6)
    public static let etherSource = HeaderField(.link, offset: 6, length: 6)
    public static let etherType = HeaderField(.link, offset: 12, length: 2)
    /// Of a frame with a tag: priority, and the VLAN id in the lower twelve bits.
    public static let vlanTag = HeaderField(.link, offset: 14, length: 2)
    /// The bits of `vlanTag` that are the id.
    public static let vlanID: [UInt8] = [0x0f, 0xff]
}

/// RFC 826, for IPv4 over Ethernet.
extension HeaderField {
    /// Hardware type, protocol type and the lengths of both addresses.
    public static let arpForm = HeaderField(.network, offset: 0, length: 6)
    public static let arpSenderMAC = HeaderField(.network, offset: 8, length: 6)
    public static let arpSenderAddress = HeaderField(.network, offset: 14, length: 4)
}

/// RFC 791 and RFC 8200.
extension HeaderField {
    public static func source(isIPv4: Bool) -> HeaderField {
        isIPv4 ? HeaderField(.network, offset: 12, length: 4) : HeaderField(.network, offset: 8, length: 16)
    }

    public static func destination(isIPv4: Bool) -> HeaderField {
        isIPv4 ? HeaderField(.network, offset: 16, length: 4) : HeaderField(.network, offset: 24, length: 16)
    }
}

extension HeaderField {
    /// What comes right behind the header: in IPv6 the protocol, or the first extension.
    public static func nextProtocol(isIPv4: Bool) -> HeaderField {
        HeaderField(.network, offset: isIPv4 ? 9 : 6, length: 1)
    }
}

/// RFC 9293 and RFC 768: TCP and UDP have their ports at one place. RFC 792 and RFC 4443: so have ICMP and ICMPv6 their
/// types. RFC 4861: a solicitation or advertisement has its target behind eight bytes.
extension HeaderField {
    public static let sourcePort = HeaderField(.transport, offset: 0, length: 2)
    public static let destinationPort = HeaderField(.transport, offset: 2, length: 2)
    /// CWR, ECE, URG, ACK, PSH, RST, SYN and FIN, from the highest bit to the lowest.
    public static let tcpFlags = HeaderField(.transport, offset: 13, length: 1)
    public static let icmpType = HeaderField(.transport, offset: 0, length: 1)
    public static let icmpCode = HeaderField(.transport, offset: 1, length: 1)
    /// Bytes behind the fixed header of IPv6 (RFC 8200, 3).
    public static let payloadLength = HeaderField(.network, offset: 4, length: 2)
    public static let neighbourTarget = HeaderField(.transport, offset: 8, length: 16)
}
