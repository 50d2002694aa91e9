/// Something that a kernel may or may not offer, and that a switch, a router or a disk may stand on.
public enum Capability: String, CaseIterable, Sendable, Codable {
    // Links.
    case bridge, tap, veth, vxlan, vlanDevice, vrf, dummy, bond, ifb
    // What a bridge can do.
    case vlanFiltering, portIsolation, lockedPort, neighbourSuppression, neighbourSuppressionPerVLAN, macLimit
    case spanningTree, multicastSnooping, multicastSnoopingPerVLAN
    // nftables.
    case nftablesInet, nftablesBridge, nftablesNetdev, netdevIngress, netdevEgress
    case conntrack, conntrackZones, conntrackBridge, bridgeNetfilter, conntrackNetlink, bridgeMeta
    case nat, rejectBridge, intervalSets, concatenatedRanges, tableOwner, tablePersistence, flowtables, packetLog
    // Traffic control.
    case tbf, htb, fqCodel, clsact, u32, flower, matchall, mirred, police
    // Routing and addresses.
    case policyRouting, forceForwarding, addressProtocol, strictDumps
    // Devices of the node.
    case ioUring, vhostNet, kvm
}

/// How a kernel stands to a capability.
public enum Availability: Hashable, Sendable {
    /// It was tried and works.
    case native
    /// It is lacking, and this takes its place.
    case fallback(String)
    /// It is lacking: the kernel option, by name.
    case missing(option: String)
    /// The kernel can load it, and nobody has: the module, for modprobe(8).
    case unloaded(module: String)
    /// It could not be tried.
    case unknown(Reason)

    /// Why a probe has no answer.
    public enum Reason: Hashable, Sendable, CustomStringConvertible {
        /// A network namespace of our own needs CAP_SYS_ADMIN.
        case needsRoot
        /// The kernel answered otherwise than any kernel that we know.
        case failed(String)

        public var description: String {
            switch self {
            case .needsRoot: "needs root"
            case .failed(let words): words
            }
        }
    }
}

/// A release of Linux, such as 6.1: major and minor.
public struct KernelRelease: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let major: Int
    public let minor: Int

    public init(_ major: Int, _ minor: Int) {
        self.major = major
        self.minor = minor
    }

    /// From what uname(2) says: "6.1.0-18-cloud-amd64".
    public init?(parsing text: String) {
        let numbers = text.split { !$0.isNumber }.prefix(2).map { Int($0) }
        guard text.first?.isNumber == true, numbers.count == 2, let major = numbers[0], let minor = numbers[1] else {
            return nil
        }
        self.init(major, minor)
    }

    public static func < (left: KernelRelease, right: KernelRelease) -> Bool {
        (left.major, left.minor) < (right.major, right.minor)
    }

    public var description: String { "\(major).\(minor)" }
}
