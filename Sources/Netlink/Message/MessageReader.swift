internal import CNetlink

/// One netlink message of the kernel, borrowed: valid only within the call that hands it over.
public struct Message {
    /// The message type: RTM_NEWLINK, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWTABLE and so on.
    public let type: UInt16
    let flags: UInt16
    let sequence: UInt32
    private let payload: UnsafeRawBufferPointer

    fileprivate init(header: nlmsghdr, payload: UnsafeRawBufferPointer) {
        type = header.nlmsg_type
        flags = header.nlmsg_flags
        sequence = header.nlmsg_seq
        self.payload = payload
    }

    /// The message with its header, for a library that parses it itself.
    var start: UnsafePointer<nlmsghdr>? {
        payload.baseAddress.map { ($0 - MemoryLayout<nlmsghdr>.size).assumingMemoryBound(to: nlmsghdr.self) }
    }

    /// The family's fixed header at the start of the payload, or nil if the payload is shorter.
    public func header<Header: BitwiseCopyable>(as type: Header.Type) -> Header? { payload.value(at: 0, as: type) }

    /// The attributes after a fixed header of this type; none if the payload is shorter.
    public func attributes<Header: BitwiseCopyable>(after header: Header.Type) -> AttributeReader {
        attributes(at: aligned(MemoryLayout<Header>.size))
    }

    func attributes(at offset: Int) -> AttributeReader {
        AttributeReader(UnsafeRawBufferPointer(rebasing: payload.dropFirst(offset)))
    }
}

/// Walks the messages of one datagram of the kernel; stops at the first that claims more than there is.
struct MessageReader: Sequence, IteratorProtocol {
    private var rest: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) { rest = bytes }

    mutating func next() -> Message? {
        guard let header = rest.value(at: 0, as: nlmsghdr.self) else { return nil }
        let headerLength = MemoryLayout<nlmsghdr>.size
        let length = Int(header.nlmsg_len)
        guard length >= headerLength, length <= rest.count else { return nil }
        let payload = UnsafeRawBufferPointer(rebasing: rest[headerLength..<length])
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(aligned(length)))
        return Message(header: header, payload: payload)
    }
}

/// Walks the attributes of a message or of a nested attribute; stops at the first that claims more than there is.
public struct AttributeReader: Sequence, IteratorProtocol {
    private var rest: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) { rest = bytes }

    public mutating func next() -> Attribute? {
        guard let header = rest.value(at: 0, as: nlattr.self) else { return nil }
        let headerLength = MemoryLayout<nlattr>.size
        let length = Int(header.nla_len)
        guard length >= headerLength, length <= rest.count else { return nil }
        let payload = UnsafeRawBufferPointer(rebasing: rest[headerLength..<length])
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(aligned(length)))
        return Attribute(type: Int(header.nla_type) & ~Int(NLA_F_NESTED | NLA_F_NET_BYTEORDER), payload: payload)
    }
}

/// One netlink attribute of the kernel, borrowed as its message is. Its values are nil where the payload does not fit.
public struct Attribute {
    /// The attribute type without its flags: IFLA_IFNAME, NFTA_TABLE_NAME and so on.
    public let type: Int
    let payload: UnsafeRawBufferPointer

    fileprivate init(type: Int, payload: UnsafeRawBufferPointer) {
        self.type = type
        self.payload = payload
    }

    /// How many bytes the payload has.
    public var count: Int { payload.count }

    /// The number in host byte order; nil unless the payload is as wide as the type.
    public func number<Value: FixedWidthInteger & BitwiseCopyable>(as type: Value.Type = Value.self) -> Value? {
        payload.count == MemoryLayout<Value>.size ? payload.value(at: 0, as: type) : nil
    }

    /// The number in network byte order; nil unless the payload is as wide as the type.
    public func bigEndian<Value: FixedWidthInteger & BitwiseCopyable>(as type: Value.Type = Value.self) -> Value? {
        number(as: type).map { Value(bigEndian: $0) }
    }

    /// A fixed wire struct of the kernel; nil if the payload is shorter (a newer kernel's may be longer).
    public func value<Value: BitwiseCopyable>(as type: Value.Type = Value.self) -> Value? {
        payload.value(at: 0, as: type)
    }

    /// The text up to its NUL, with bytes that are not UTF-8 replaced.
    public var text: String { String(decoding: payload.prefix { $0 != 0 }, as: UTF8.self) }

    /// Whether the text up to its NUL is this one; makes no string.
    public func isText(_ other: StaticString) -> Bool {
        let text = payload.prefix { $0 != 0 }
        return text.elementsEqual(UnsafeBufferPointer(start: other.utf8Start, count: other.utf8CodeUnitCount))
    }

    /// The payload, copied.
    public var bytes: [UInt8] { Array(payload) }

    /// The interface name, if it is one.
    public var interfaceName: InterfaceName? { InterfaceName(wire: payload) }

    /// The MAC address, if there are six bytes.
    public var macAddress: MACAddress? { MACAddress(bytes: payload) }

    /// The address, if there are four or sixteen bytes.
    public var address: IPAddress? { IPAddress(bytes: payload) }

    /// The attributes within this one.
    public var nested: AttributeReader { AttributeReader(payload) }
}

/// The length padded to four bytes (NLMSG_ALIGN, NLA_ALIGN).
func aligned(_ length: Int) -> Int { (length &+ 3) & ~3 }

extension UnsafeRawBufferPointer {
    /// The value at the offset, whatever its alignment, or nil if it does not fit.
    func value<Value: BitwiseCopyable>(at offset: Int, as type: Value.Type) -> Value? {
        let size = MemoryLayout<Value>.size
        guard offset >= 0, count >= size, offset <= count - size else { return nil }
        return loadUnaligned(fromByteOffset: offset, as: type)
    }
}
