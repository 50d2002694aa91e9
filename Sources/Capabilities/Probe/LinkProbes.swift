internal import CNetlink
internal import Netlink
internal import Syscall
internal import SystemPackage

/// Makes one link of every kind.
enum LinkProbes {
    static let bridge = "sdp-bridge"
    static let port = "sdp-port"
    private static let far = "sdp-far"

    /// Kinds whose module makes links of its own in the node's namespace when it is loaded (dummy0, ifb0, ifb1,
    /// bond0: numdummies, numifbs and max_bonds are not 0 by default). They are not loaded for a question.
    private static let noisy: [Capability] = [.dummy, .ifb, .bond]

    static func group(_ release: String) -> ProbeGroup {
        ProbeGroup(covers: [.tap, .bridge, .veth, .vxlan, .vlanDevice, .vrf] + noisy) { () throws(NetlinkError) in
            try run(release)
        }
    }

    private static func run(_ release: String) throws(NetlinkError) -> Answers {
        var answers: Answers = [.tap: tap()]
        var socket = try NetlinkSocket(.route)
        var first = MessageWriter()
        first.link(bridge, "bridge")
        first.link(port, "veth") {
            $0.nested(Int(VETH_INFO_PEER)) {
                $0.append(ifinfomsg())
                $0.attribute(Int(IFLA_IFNAME), far)
            }
        }
        first.link("sdp-vxlan", "vxlan") { $0.attribute(Int(IFLA_VXLAN_ID), UInt32(1)) }
        first.link("sdp-vrf", "vrf") { $0.attribute(Int(IFLA_VRF_TABLE), UInt32(1000)) }
        answers.merge(Probe.answers([.bridge, .veth, .vxlan, .vrf], try socket.request(first))) { $1 }

        var quiet: [Capability] = []
        var second = MessageWriter()
        if let lower = try socket.index(of: bridge) {
            second.link("sdp-vlan", "vlan", on: lower) { $0.attribute(Int(IFLA_VLAN_ID), UInt16(2)) }
            quiet.append(.vlanDevice)
        }
        for capability in noisy {
            guard let module = capability.facts.module else { continue }
            if KernelModules.place(of: module, release: release) == .available {
                answers[capability] = .native
            } else {
                second.link("sdp-\(capability.rawValue)", capability.rawValue)
                quiet.append(capability)
            }
        }
        answers.merge(Probe.answers(quiet, try socket.request(second))) { $1 }
        return answers
    }

    /// Left to the namespace: a tap that goes with its descriptor costs a grace period of 15 ms.
    private static func tap() -> Availability {
        do throws(Errno) {
            try NewTap("sdp-tap").persist()
            return .native
        } catch {
            switch error {
            case .noSuchFileOrDirectory, .operationNotSupportedByDevice, .noSuchAddressOrDevice, .invalidArgument:
                return .missing(option: Capability.tap.facts.option)
            case .notPermitted, .permissionDenied: return .unknown(.needsRoot)
            default: return .unknown(.failed("/dev/net/tun: \(error)"))
            }
        }
    }
}

extension MessageWriter {
    /// RTM_NEWLINK of one kind, with what `body` writes into IFLA_INFO_DATA.
    mutating func link(
        _ name: String, _ kind: String, on lower: Int32? = nil, _ body: ((inout AttributeWriter) -> Void)? = nil
    ) {
        message(UInt16(RTM_NEWLINK), [.create, .exclusive], operation: "try a link") {
            $0.append(ifinfomsg())
            $0.attribute(Int(IFLA_IFNAME), name)
            if let lower { $0.attribute(Int(IFLA_LINK), lower) }
            $0.nested(Int(IFLA_LINKINFO)) {
                $0.attribute(Int(IFLA_INFO_KIND), kind)
                if let body { $0.nested(Int(IFLA_INFO_DATA), body) }
            }
        }
    }
}

extension NetlinkSocket {
    /// The number of a link of the scratch namespace; nil where it could not be made.
    mutating func index(of name: String) throws(NetlinkError) -> Int32? {
        guard let name = InterfaceName(name) else { return nil }
        return try link(named: name)?.index
    }
}
