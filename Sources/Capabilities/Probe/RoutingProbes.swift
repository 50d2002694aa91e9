internal import CNetlink
internal import Netlink
internal import Syscall
internal import SystemPackage

/// A routing rule, an address with a mark, a strict socket, and a setting of one link.
enum RoutingProbes {
    static let group = ProbeGroup(covers: [.policyRouting, .addressProtocol, .strictDumps, .forceForwarding]) {
        () throws(NetlinkError) in
        var socket = try NetlinkSocket(.route)
        var answers: Answers = [.forceForwarding: forceForwarding()]
        answers[.strictDumps] =
            socket.isStrict ? .native : .missing(option: Capability.strictDumps.facts.option)
        var rule = MessageWriter()
        rule.message(UInt16(RTM_NEWRULE), [.create], operation: "try a routing rule") {
            var header = fib_rule_hdr()
            header.family = UInt8(AF_INET)
            header.action = UInt8(FR_ACT_TO_TBL)
            $0.append(header)
            $0.attribute(Int(FRA_TABLE), UInt32(1000))
            $0.attribute(Int(FRA_PRIORITY), UInt32(1000))
        }
        answers.merge(Probe.answers([.policyRouting], try socket.request(rule))) { $1 }
        answers[.addressProtocol] = try addressProtocol(&socket)
        return answers
    }

    /// A kernel before 5.18 takes the attribute for nothing, so it is read back.
    private static func addressProtocol(_ socket: inout NetlinkSocket) throws(NetlinkError) -> Availability {
        let mark: UInt8 = 201
        var writer = MessageWriter()
        writer.message(UInt16(RTM_NEWADDR), [.create, .exclusive], operation: "try an address") {
            $0.append(
                ifaddrmsg(ifa_family: UInt8(AF_INET), ifa_prefixlen: 32, ifa_flags: 0, ifa_scope: 0, ifa_index: 1))
            $0.attribute(Int(IFA_LOCAL), bytes: [192, 0, 2, 1])
            $0.attribute(Int(IFA_PROTO), mark)
        }
        try socket.request(one: writer)
        var request = MessageWriter()
        request.message(UInt16(RTM_GETADDR), .dump, operation: "list addresses") {
            $0.append(ifaddrmsg(ifa_family: UInt8(AF_INET), ifa_prefixlen: 0, ifa_flags: 0, ifa_scope: 0, ifa_index: 0))
        }
        let marks = try socket.dump(request) { message in
            message.attributes(after: ifaddrmsg.self).first { $0.type == Int(IFA_PROTO) }?.number(as: UInt8.self)
        }
        return marks.contains(mark) ? .native : .missing(option: Capability.addressProtocol.facts.option)
    }

    private static func forceForwarding() -> Availability {
        do throws(Errno) {
            try Sysctl.write("net/ipv6/conf/lo/force_forwarding", "1")
            return .native
        } catch {
            switch error {
            case .noSuchFileOrDirectory: return .missing(option: Capability.forceForwarding.facts.option)
            case .notPermitted, .permissionDenied, .readOnlyFileSystem:
                return .unknown(.failed("/proc/sys cannot be written: \(error)"))
            default: return .unknown(.failed("force_forwarding: \(error)"))
            }
        }
    }
}
