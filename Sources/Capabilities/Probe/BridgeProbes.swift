internal import CNetlink
internal import Netlink
internal import SystemPackage

/// Sets what a bridge and its ports can do, and reads it back: an older kernel takes an attribute that it does not know
/// for nothing, without a word.
enum BridgeProbes {
    /// Attributes that Debian 12's headers do not know yet (linux/if_link.h of Linux 6.18).
    private enum Newer {
        static let fdbMaxLearned = 49
        static let portNeighbourSuppressionPerVLAN = 43
    }

    private static let ofBridge: [(capability: Capability, type: Int)] = [
        (.spanningTree, Int(IFLA_BR_STP_STATE)), (.multicastSnooping, Int(IFLA_BR_MCAST_QUERIER)),
        (.macLimit, Newer.fdbMaxLearned), (.vlanFiltering, Int(IFLA_BR_VLAN_FILTERING)),
        (.multicastSnoopingPerVLAN, Int(IFLA_BR_MULTI_BOOLOPT)),
    ]

    private static let ofPort: [(capability: Capability, type: Int)] = [
        (.portIsolation, Int(IFLA_BRPORT_ISOLATED)), (.lockedPort, Int(IFLA_BRPORT_LOCKED)),
        (.neighbourSuppression, Int(IFLA_BRPORT_NEIGH_SUPPRESS)),
        (.neighbourSuppressionPerVLAN, Newer.portNeighbourSuppressionPerVLAN),
    ]

    static let group = ProbeGroup(covers: ofBridge.map(\.capability) + ofPort.map(\.capability)) {
        () throws(NetlinkError) in
        var socket = try NetlinkSocket(.route)
        guard let bridge = try socket.index(of: LinkProbes.bridge) else { return [:] }
        var answers = try bridgeOptions(of: bridge, &socket)
        if let port = try socket.index(of: LinkProbes.port) {
            answers.merge(try portOptions(of: port, on: bridge, &socket)) { $1 }
        }
        return answers
    }

    private static func bridgeOptions(of bridge: Int32, _ socket: inout NetlinkSocket) throws(NetlinkError) -> Answers {
        var writer = MessageWriter()
        for option in ofBridge {
            writer.change(bridge, Int(IFLA_INFO_DATA), Int(IFLA_INFO_KIND)) { $0.write(option.capability, option.type) }
        }
        let outcomes = try socket.request(writer)
        let seen = try socket.information(of: bridge, Int(IFLA_INFO_DATA))
        return answers(ofBridge, outcomes, seen)
    }

    private static func portOptions(
        of port: Int32, on bridge: Int32, _ socket: inout NetlinkSocket
    ) throws(NetlinkError) -> Answers {
        var enslave = MessageWriter()
        var change = LinkChange()
        change.master = bridge
        enslave.changeLink(.index(port), change)
        try socket.request(one: enslave)
        var writer = MessageWriter()
        for option in ofPort {
            writer.change(port, Int(IFLA_INFO_SLAVE_DATA), Int(IFLA_INFO_SLAVE_KIND)) {
                $0.attribute(option.type, UInt8(1))
            }
        }
        let outcomes = try socket.request(writer)
        let seen = try socket.information(of: port, Int(IFLA_INFO_SLAVE_DATA))
        return answers(ofPort, outcomes, seen)
    }

    private static func answers(
        _ options: [(capability: Capability, type: Int)], _ outcomes: [NetlinkError?], _ seen: [Int: [UInt8]]
    ) -> Answers {
        var answers: Answers = [:]
        for (option, outcome) in zip(options, outcomes) {
            // Per-VLAN options are refused (EINVAL) by a bridge that could not become VLAN-aware.
            let answer = Probe.answer(option.capability, outcome, lacking: [.invalidArgument])
            // Every option tried is 1, in its lowest byte first or in the bit that was set.
            let isSet = seen[option.type].map { $0.first == value(option.capability) } ?? false
            let isTaken = answer == .native && !isSet
            answers[option.capability] = isTaken ? .missing(option: option.capability.facts.option) : answer
        }
        return answers
    }

    /// The first byte of what is set. BR_BOOLOPT_MCAST_VLAN_SNOOPING is bit 1, beside BR_BOOLOPT_NO_LL_LEARN, bit 0
    /// (linux/if_bridge.h).
    fileprivate static func value(_ capability: Capability) -> UInt8 { capability == .multicastSnoopingPerVLAN ? 2 : 1 }
}

extension AttributeWriter {
    /// One bridge option, as wide as its kernel policy wants it (br_policy in net/bridge/br_netlink.c).
    fileprivate mutating func write(_ capability: Capability, _ type: Int) {
        switch capability {
        case .spanningTree, .macLimit: attribute(type, UInt32(1))
        case .multicastSnoopingPerVLAN:
            // struct br_boolopt_multi: values, then the mask of those that count.
            attribute(type, UInt64(2) << 32 | 2)
        case .multicastSnooping:
            attribute(Int(IFLA_BR_MCAST_SNOOPING), UInt8(1))
            attribute(type, UInt8(1))
        default: attribute(type, UInt8(1))
        }
    }
}

extension MessageWriter {
    /// RTM_NEWLINK for a bridge or for a port of one: the kind must stand beside its data.
    fileprivate mutating func change(
        _ link: Int32, _ data: Int, _ kind: Int, _ body: (inout AttributeWriter) -> Void
    ) {
        message(UInt16(RTM_NEWLINK), operation: "try a bridge option") {
            var header = ifinfomsg()
            header.ifi_index = link
            $0.append(header)
            $0.nested(Int(IFLA_LINKINFO)) {
                $0.attribute(kind, "bridge")
                $0.nested(data, body)
            }
        }
    }
}

extension NetlinkSocket {
    /// The attributes in one part of a link's IFLA_LINKINFO, by type.
    fileprivate mutating func information(of link: Int32, _ part: Int) throws(NetlinkError) -> [Int: [UInt8]] {
        var request = MessageWriter()
        request.message(UInt16(RTM_GETLINK), operation: "read a link's options") {
            var header = ifinfomsg()
            header.ifi_index = link
            $0.append(header)
        }
        var seen: [Int: [UInt8]] = [:]
        let outcomes = try self.request(request) { _, message in
            for attribute in message.attributes(after: ifinfomsg.self) where attribute.type == Int(IFLA_LINKINFO) {
                for information in attribute.nested where information.type == part {
                    for option in information.nested { seen[option.type] = option.bytes }
                }
            }
        }
        for case let error? in outcomes { throw error }
        return seen
    }
}
