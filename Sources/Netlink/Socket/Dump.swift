internal import CNetlink
internal import SystemPackage

extension NetlinkSocket {
    /// How often a dump is begun again because the objects changed meanwhile (NLM_F_DUMP_INTR).
    private static let dumpAttempts = 30

    /// Lists objects: sends the one message of `request`, whose flags include `.dump`, and decodes each answer.
    ///
    /// A list that the kernel marks as inconsistent is thrown away and fetched again.
    /// - Parameter decode: the item in one message, or nil to leave it out.
    public mutating func dump<Item>(
        _ request: MessageWriter, _ decode: (Message) throws(NetlinkError) -> Item?
    ) throws(NetlinkError) -> [Item] {
        precondition(request.count == 1, "a dump is one request")
        for _ in 0..<Self.dumpAttempts {
            if let items = try attemptDump(request, decode) { return items }
        }
        throw NetlinkError(operation: "\(request.marks[0].operation)", cause: .interrupted)
    }

    /// One attempt; nil if it was interrupted.
    private mutating func attemptDump<Item>(
        _ request: MessageWriter, _ decode: (Message) throws(NetlinkError) -> Item?
    ) throws(NetlinkError) -> [Item]? {
        var request = request
        let sequence = takeSequences(1)
        let operation = request.marks[0].operation
        request.stamp(0, sequence: sequence, acknowledge: false)
        do throws(Errno) {
            try send(request.bytes, 0..<request.bytes.count)
        } catch {
            throw NetlinkError(operation: "\(operation)", cause: .system(error))
        }
        var items: [Item] = []
        var isConsistent = true
        var isDone = false
        var failure: NetlinkError?
        while !isDone {
            try receive(operation: operation) { (message) throws(NetlinkError) in
                guard message.sequence == sequence else { return }
                if message.flags & UInt16(NLM_F_DUMP_INTR) != 0 { isConsistent = false }
                switch CInt(message.type) {
                case NLMSG_DONE:
                    isDone = true
                    failure = Self.failure(ofDone: message, operation)
                case NLMSG_ERROR:
                    isDone = true
                    let cause = Acknowledgement(message).map(\.cause) ?? .malformed
                    failure = cause.map { NetlinkError(operation: "\(operation)", cause: $0) }
                case NLMSG_OVERRUN:
                    isConsistent = false
                default:
                    // A decode that throws leaves the rest unread; the next request skips it by its sequence number.
                    if let item = try decode(message) { items.append(item) }
                }
            }
        }
        if let failure { throw failure }
        return isConsistent ? items : nil
    }

    /// NLMSG_DONE carries the errno with which the dump ended, 0 or negative.
    private static func failure(ofDone message: Message, _ operation: StaticString) -> NetlinkError? {
        guard let code = message.header(as: Int32.self), code < 0, code > -4096 else { return nil }
        let cause = NetlinkError.Cause.refused(Errno(rawValue: -code), words: nil, offset: nil)
        return NetlinkError(operation: "\(operation)", cause: cause)
    }
}
