public import Netlink

/// A physical port that a switch borrows. It belongs to the machine: it is never made, renamed or deleted.
public struct UplinkSpec: Hashable, Sendable {
    /// The port.
    public let interface: InterfaceName
    /// The switch that borrows it.
    public let switchName: String
    /// The VLANs that it carries, where its switch filters; nil where it does not.
    public var vlans: PortVLANs?
    /// The most that leaves by it, in bits a second; nil where nobody shares it out.
    public let rate: UInt64?

    /// A port borrowed by a switch.
    public init(interface: InterfaceName, switchName: String, rate: UInt64? = nil) {
        self.interface = interface
        self.switchName = switchName
        self.rate = rate
    }

    /// The resource's name is the port's: a port has one borrower.
    public var resourceName: String { interface.description }
}

/// The mark on a borrowed port, an alternative name such as `sdagent.uplink.101.7.blue`: who borrows it, and what it
/// was like before, so that it can be given back like that. The digits: it was up; its IPv6 was off; address
/// generation. Then the port's index, since no two links have one alternative name.
struct UplinkMark: Hashable {
    let switchName: String
    let wasUp: Bool
    let wasIPv6Disabled: Bool
    let addressGeneration: AddressGeneration
    let index: Int32

    private static let prefix = "sdagent.uplink."

    /// The mark that a switch puts on a port as it is now.
    init(_ switchName: String, on link: Link) {
        self.switchName = switchName
        wasUp = link.isUp
        wasIPv6Disabled = link.isIPv6Disabled ?? false
        addressGeneration = link.addressGeneration ?? .eui64
        index = link.index
    }

    /// The mark in an alternative name, if it is one.
    init?(_ text: String) {
        guard text.hasPrefix(Self.prefix) else { return nil }
        let rest = text.dropFirst(Self.prefix.count)
        let digits = rest.utf8.prefix(3).map { $0 &- UInt8(ascii: "0") }
        guard digits.count == 3, digits[0] < 2, digits[1] < 2 else { return nil }
        guard let generation = AddressGeneration(rawValue: digits[2]) else { return nil }
        let parts = rest.dropFirst(3).split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].isEmpty, let index = Int32(parts[1]), !parts[2].isEmpty else { return nil }
        switchName = String(parts[2])
        self.index = index
        wasUp = digits[0] == 1
        wasIPv6Disabled = digits[1] == 1
        addressGeneration = generation
    }

    /// The mark on a link, if there is one.
    init?(of link: Link) {
        for name in link.alternativeNames {
            guard let mark = UplinkMark(name) else { continue }
            self = mark
            return
        }
        return nil
    }

    /// The alternative name: at most 93 bytes of the 127 that the kernel takes.
    var text: String {
        let before = "\(wasUp ? 1 : 0)\(wasIPv6Disabled ? 1 : 0)\(addressGeneration.rawValue)"
        return "\(Self.prefix)\(before).\(index).\(switchName)"
    }
}
