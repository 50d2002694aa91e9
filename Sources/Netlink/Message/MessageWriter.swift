internal import CNetlink

/// One buffer of whole netlink messages, from one to many thousands; owns lengths and padding.
///
/// A message is known by its index in the buffer. The socket gives it a sequence number when it is sent, and reports
/// its outcome by that index.
public struct MessageWriter: Sendable {
    /// What the socket must know of one message to send it and to report on it.
    struct Mark {
        /// Where the message starts in the buffer; it ends where the next one starts.
        let offset: Int
        /// What the message does, in words for an error: "create link".
        let operation: StaticString
    }

    private var content = AttributeWriter()
    private(set) var marks: [Mark] = []

    /// An empty buffer; `capacity` bytes are reserved.
    public init(capacity: Int = 4096) { content.bytes.reserveCapacity(capacity) }

    /// The messages as they go to the kernel, padded to four bytes each.
    public var bytes: [UInt8] { content.bytes }

    /// How many messages there are.
    public var count: Int { marks.count }

    /// Whether there is no message.
    public var isEmpty: Bool { marks.isEmpty }

    /// Appends one message: its header, then what `body` writes: the family's fixed header and the attributes.
    ///
    /// - Parameter operation: what it does, in words for an error: "create link".
    /// - Returns: the message's index.
    @discardableResult
    public mutating func message(
        _ type: UInt16, _ flags: MessageFlags = [], operation: StaticString, _ body: (inout AttributeWriter) -> Void
    ) -> Int {
        let offset = content.bytes.count
        let flags = flags.union(.request).rawValue
        content.append(nlmsghdr(nlmsg_len: 0, nlmsg_type: type, nlmsg_flags: flags, nlmsg_seq: 0, nlmsg_pid: 0))
        body(&content)
        let length = content.bytes.count - offset
        precondition(length <= Int(Int32.max), "a netlink message is shorter than 2 GiB")
        content.patch(UInt32(length), at: offset)
        marks.append(Mark(offset: offset, operation: operation))
        return marks.count - 1
    }

    /// Where the message lies in the buffer.
    func range(of index: Int) -> Range<Int> {
        marks[index].offset..<(index + 1 < marks.count ? marks[index + 1].offset : content.bytes.count)
    }

    /// Sets the sequence number, and NLM_F_ACK on top of the flags.
    mutating func stamp(_ index: Int, sequence: UInt32, acknowledge: Bool) {
        let offset = marks[index].offset
        if acknowledge { content.bytes[offset + 6] |= UInt8(MessageFlags.acknowledge.rawValue) }
        content.patch(sequence, at: offset + 8)
    }
}

/// Writes the body of one message: fixed headers and attributes, padded to four bytes each (NLA_ALIGNTO).
///
/// Numbers are in host byte order unless the name says big-endian; which one a field wants stands in its kernel header.
public struct AttributeWriter: Sendable {
    fileprivate(set) var bytes: [UInt8] = []

    /// A fixed wire struct of the kernel, such as `ifinfomsg` or `nfgenmsg`, padded to four bytes.
    public mutating func append<Header: BitwiseCopyable>(_ header: Header) {
        withUnsafeBytes(of: header) { bytes.append(contentsOf: $0) }
        pad()
    }

    /// Attributes that a library has written already, padded as they must be.
    mutating func append(attributes: UnsafeRawBufferPointer) { bytes.append(contentsOf: attributes) }

    /// An attribute without payload: its presence is its meaning (NLA_FLAG).
    public mutating func flag(_ type: Int) { attribute(type, bytes: EmptyCollection()) }

    /// An attribute with one number in host byte order.
    public mutating func attribute(_ type: Int, _ value: some FixedWidthInteger & BitwiseCopyable) {
        withUnsafeBytes(of: value) { attribute(type, bytes: $0) }
    }

    /// An attribute with one number in network byte order.
    public mutating func attribute(_ type: Int, bigEndian value: some FixedWidthInteger & BitwiseCopyable) {
        attribute(type, value.bigEndian)
    }

    /// An attribute with a text and its NUL (NLA_NUL_STRING).
    public mutating func attribute(_ type: Int, _ text: String) {
        let start = beginAttribute(type)
        bytes.append(contentsOf: text.utf8)
        bytes.append(0)
        endAttribute(start)
    }

    /// An attribute with a fixed wire struct of the kernel, such as `tc_tbf_qopt`.
    public mutating func attribute<Value: BitwiseCopyable>(_ type: Int, structure value: Value) {
        withUnsafeBytes(of: value) { attribute(type, bytes: $0) }
    }

    /// An attribute with bytes as they are.
    public mutating func attribute(_ type: Int, bytes payload: some Collection<UInt8>) {
        let start = beginAttribute(type)
        bytes.append(contentsOf: payload)
        endAttribute(start)
    }

    /// An attribute that holds what `body` writes, marked NLA_F_NESTED, which newer parsers of the kernel insist on.
    public mutating func nested(_ type: Int, _ body: (inout AttributeWriter) -> Void) {
        let start = beginAttribute(type | Int(NLA_F_NESTED))
        body(&self)
        endAttribute(start)
    }

    private mutating func beginAttribute(_ type: Int) -> Int {
        let start = bytes.count
        append(nlattr(nla_len: 0, nla_type: UInt16(truncatingIfNeeded: type)))
        return start
    }

    private mutating func endAttribute(_ start: Int) {
        let length = bytes.count - start
        precondition(length <= Int(UInt16.max), "a netlink attribute is shorter than 64 KiB; split it over messages")
        patch(UInt16(length), at: start)
        pad()
    }

    fileprivate mutating func patch<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value, at offset: Int) {
        withUnsafeBytes(of: value) { source in
            for (index, byte) in source.enumerated() { bytes[offset + index] = byte }
        }
    }

    private mutating func pad() {
        while bytes.count & 3 != 0 { bytes.append(0) }
    }
}
