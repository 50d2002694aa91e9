internal import CNetlink
internal import Netlink
internal import Syscall
internal import SystemPackage

/// Conntrack: in rules, on bridges, over netlink; and the log of packets, which speaks the same protocol.
enum ConntrackProbes {
    static let group = ProbeGroup(
        covers: [.conntrack, .conntrackZones, .conntrackBridge, .conntrackNetlink, .packetLog, .bridgeNetfilter]
    ) { () throws(NetlinkError) in
        var socket = try NetlinkSocket(.netfilter)
        // EPROTO: the bridge family has no connection tracking.
        let onBridge = try state(.conntrackBridge, .bridge, &socket)
        return [
            .conntrack: Probe.answer(.conntrack, try state(.conntrack, .inet, &socket)),
            .conntrackZones: Probe.answer(.conntrackZones, try zone(&socket)),
            .conntrackBridge: Probe.answer(.conntrackBridge, onBridge, lacking: [.protocolError]),
            .conntrackNetlink: listFlows(&socket),
            .packetLog: try log(&socket),
            .bridgeNetfilter: bridgeNetfilter(),
        ]
    }

    /// A rule that loads `ct state`.
    private static func state(
        _ capability: Capability, _ family: RuleDraft.Family, _ socket: inout NetlinkSocket
    ) throws(NetlinkError) -> NetlinkError? {
        var draft = RuleDraft(capability, family)
        draft.chain(hook: UInt32(NF_INET_FORWARD.rawValue))
        draft.rule(
            (
                "ct",
                {
                    $0.attribute(Int(NFTA_CT_KEY.rawValue), bigEndian: UInt32(NFT_CT_STATE.rawValue))
                    $0.attribute(Int(NFTA_CT_DREG.rawValue), bigEndian: UInt32(NFT_REG_1.rawValue))
                }
            ))
        return try draft.commit(on: &socket)
    }

    /// A rule that sets a zone from a register.
    private static func zone(_ socket: inout NetlinkSocket) throws(NetlinkError) -> NetlinkError? {
        var draft = RuleDraft(.conntrackZones, .inet)
        draft.chain(hook: UInt32(NF_INET_PRE_ROUTING.rawValue))
        draft.rule(
            (
                "immediate",
                {
                    $0.attribute(Int(NFTA_IMMEDIATE_DREG.rawValue), bigEndian: UInt32(NFT_REG_1.rawValue))
                    $0.nested(Int(NFTA_IMMEDIATE_DATA.rawValue)) {
                        $0.attribute(Int(NFTA_DATA_VALUE.rawValue), UInt16(1))
                    }
                }
            ),
            (
                "ct",
                {
                    $0.attribute(Int(NFTA_CT_KEY.rawValue), bigEndian: UInt32(NFT_CT_ZONE.rawValue))
                    $0.attribute(Int(NFTA_CT_SREG.rawValue), bigEndian: UInt32(NFT_REG_1.rawValue))
                }
            ))
        return try draft.commit(on: &socket)
    }

    /// An nfnetlink subsystem that is not there is EINVAL (nfnetlink_rcv_msg).
    private static func listFlows(_ socket: inout NetlinkSocket) -> Availability {
        var request = MessageWriter()
        let type = UInt16(NFNL_SUBSYS_CTNETLINK) << 8 | UInt16(IPCTNL_MSG_CT_GET.rawValue)
        request.message(type, .dump, operation: "list flows") {
            $0.append(nfgenmsg(nfgen_family: UInt8(AF_INET), version: UInt8(NFNETLINK_V0), res_id: 0))
        }
        do throws(NetlinkError) {
            _ = try socket.dump(request) { _ in true }
            return .native
        } catch {
            return Probe.answer(.conntrackNetlink, error, lacking: [.invalidArgument])
        }
    }

    /// Binds to a group of the namespace's own log.
    private static func log(_ socket: inout NetlinkSocket) throws(NetlinkError) -> Availability {
        var request = MessageWriter()
        let type = UInt16(NFNL_SUBSYS_ULOG) << 8 | UInt16(NFULNL_MSG_CONFIG.rawValue)
        request.message(type, operation: "bind to the packet log") {
            $0.append(
                nfgenmsg(nfgen_family: UInt8(AF_UNSPEC), version: UInt8(NFNETLINK_V0), res_id: UInt16(1).bigEndian))
            $0.attribute(Int(NFULA_CFG_CMD.rawValue), UInt8(NFULNL_CFG_CMD_BIND.rawValue))
        }
        let outcomes = try socket.request(request)
        return Probe.answer(.packetLog, outcomes.first ?? nil, lacking: [.invalidArgument])
    }

    /// Its settings are there when it is. It is never loaded for a question: from then on every bridge of the node
    /// would send its packets through everybody's inet rules.
    private static func bridgeNetfilter() -> Availability {
        do throws(Errno) {
            _ = try Sysctl.read("net/bridge/bridge-nf-call-iptables")
            return .native
        } catch .noSuchFileOrDirectory {
            return .missing(option: Capability.bridgeNetfilter.facts.option)
        } catch {
            return .unknown(.failed("net.bridge: \(error)"))
        }
    }
}
