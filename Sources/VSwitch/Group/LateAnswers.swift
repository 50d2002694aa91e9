internal import Netlink
internal import Rules

/// Answers over UDP that were under way when their flow was ended.
///
/// Conntrack takes such a one for the beginning of a flow of its sender's, which may be allowed to send anything; and
/// then lets in all that comes back. So they are refused for a while, by their ports and addresses.
///
///     late4   address . port . address . port    from and to, of answers that come no more
///     late6
enum LateAnswers {
    static let names = [true, false].map(name)

    private static func name(isIPv4: Bool) -> String { isIPv4 ? "late4" : "late6" }

    /// The sets; empty but for the moment after flows have ended.
    static func sets(_ answers: some Sequence<ConntrackTuple> = EmptyCollection()) -> [NFSet] {
        var (ipv4, ipv6) = (empty(isIPv4: true), empty(isIPv4: false))
        for answer in answers {
            guard case .ports(let source, let destination) = answer.ends else { continue }
            let key = NFKey(
                .address(answer.source), .port(source), .address(answer.destination), .port(destination))
            if answer.source.isIPv4 { ipv4.insert(key) } else { ipv6.insert(key) }
        }
        return [ipv4, ipv6]
    }

    private static func empty(isIPv4: Bool) -> NFSet {
        let address = isIPv4 ? NFSet.Field.ipv4Address : .ipv6Address
        return NFSet(name(isIPv4: isIPv4), key: [address, .port, address, .port])
    }

    /// Behind what belongs to a flow: one that is allowed again has its answers.
    ///
    /// - Parameter refusal: what becomes of them.
    static func rules(_ refusal: NFExpression) -> [NFRule] { [true, false].map { rule($0, refusal) } }

    private static func rule(_ isIPv4: Bool, _ refusal: NFExpression) -> NFRule {
        // An address takes one register, or four; a port one.
        let (port, destination, last): (NFRegister, NFRegister, NFRegister) = isIPv4 ? (1, 2, 3) : (4, 5, 9)
        return NFRule(
            Header.family(isIPv4: isIPv4) + Header.transport(.udp) + [
                HeaderField.source(isIPv4: isIPv4).load(into: 0), HeaderField.sourcePort.load(into: port),
                HeaderField.destination(isIPv4: isIPv4).load(into: destination),
                HeaderField.destinationPort.load(into: last),
                .lookup(0, set: name(isIPv4: isIPv4), isInverted: false), .counter, refusal,
            ], comment: "an answer on a flow that has ended")
    }
}
