internal import CNetlink
internal import Netlink
internal import SystemPackage

/// Traffic control, on loopback, which is down and carries nothing: disciplines, classifiers, actions.
enum ShapingProbes {
    private static let loopback: Int32 = 1

    static let group = ProbeGroup(
        covers: [.tbf, .htb, .fqCodel, .clsact, .u32, .flower, .matchall, .mirred, .police]
    ) { () throws(NetlinkError) in
        var socket = try NetlinkSocket(.route)
        var writer = MessageWriter()
        discipline(&writer, "tbf", handle: 1) { options in
            var parameters = tc_tbf_qopt()
            parameters.rate.rate = 125_000
            parameters.limit = 10_000
            options.attribute(Int(TCA_TBF_PARMS), structure: parameters)
            options.attribute(Int(TCA_TBF_BURST), UInt32(10_000))
        }
        discipline(&writer, "htb", handle: 2) { options in
            // The version that the kernel speaks (TC_HTB_PROTOVER), and its usual divisor of rates.
            options.attribute(
                Int(TCA_HTB_INIT),
                structure: tc_htb_glob(version: 3, rate2quantum: 10, defcls: 0, debug: 0, direct_pkts: 0))
        }
        discipline(&writer, "fq_codel", handle: 3) { _ in }
        attach(&writer, "clsact", parent: UInt32(TC_H_CLSACT), handle: 0xffff) { _ in }
        classifier(&writer, "u32", priority: 1) {
            // struct tc_u32_sel with TC_U32_TERMINAL, and one key whose mask is 0: all packets.
            $0.attribute(Int(TCA_U32_SEL), bytes: [1, 0, 1] + [UInt8](repeating: 0, count: 29))
        }
        classifier(&writer, "flower", priority: 2) { _ in }
        classifier(&writer, "matchall", priority: 3) { _ in }
        var mirror = tc_mirred()
        mirror.action = TC_ACT_PIPE
        mirror.eaction = TCA_EGRESS_MIRROR
        mirror.ifindex = UInt32(loopback)
        action(&writer, "mirred") { $0.attribute(Int(TCA_MIRRED_PARMS), structure: mirror) }
        var police = tc_police()
        police.action = TC_ACT_PIPE
        action(&writer, "police") { $0.attribute(Int(TCA_POLICE_TBF), structure: police) }
        let outcomes = try socket.request(writer)
        return Probe.answers([.tbf, .htb, .fqCodel, .clsact, .u32, .flower, .matchall, .mirred, .police], outcomes)
    }

    private static func discipline(
        _ writer: inout MessageWriter, _ kind: String, handle: UInt32, _ body: (inout AttributeWriter) -> Void
    ) {
        attach(&writer, kind, parent: UInt32(TC_H_ROOT), handle: handle, body)
    }

    private static func attach(
        _ writer: inout MessageWriter, _ kind: String, parent: UInt32, handle: UInt32,
        _ body: (inout AttributeWriter) -> Void
    ) {
        writer.message(UInt16(RTM_NEWQDISC), [.create, .replace], operation: "try a queueing discipline") {
            var header = tcmsg()
            header.tcm_ifindex = loopback
            header.tcm_parent = parent
            header.tcm_handle = handle << 16
            $0.append(header)
            $0.attribute(Int(TCA_KIND), kind)
            $0.nested(Int(TCA_OPTIONS), body)
        }
    }

    private static func classifier(
        _ writer: inout MessageWriter, _ kind: String, priority: UInt32, _ body: (inout AttributeWriter) -> Void
    ) {
        writer.message(UInt16(RTM_NEWTFILTER), [.create, .exclusive], operation: "try a classifier") {
            var header = tcmsg()
            header.tcm_ifindex = loopback
            // TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS).
            header.tcm_parent = 0xffff_fff2
            // The protocol, big-endian, is ETH_P_ALL (3).
            header.tcm_info = priority << 16 | UInt32(UInt16(3).bigEndian)
            $0.append(header)
            $0.attribute(Int(TCA_KIND), kind)
            $0.nested(Int(TCA_OPTIONS), body)
        }
    }

    private static func action(_ writer: inout MessageWriter, _ kind: String, _ body: (inout AttributeWriter) -> Void) {
        writer.message(UInt16(RTM_NEWACTION), [.create, .exclusive], operation: "try an action") {
            $0.append(tcamsg())
            $0.nested(Int(TCA_ROOT_TAB)) {
                // The first of a list.
                $0.nested(1) {
                    $0.attribute(Int(TCA_ACT_KIND), kind)
                    $0.nested(Int(TCA_ACT_OPTIONS), body)
                }
            }
        }
    }
}
