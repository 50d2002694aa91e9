internal import CLinux
internal import Glibc
public import SystemPackage

/// Taps for virtual machines, through /dev/net/tun (Documentation/networking/tuntap.rst); `NewTap` makes them.
public enum Tap {
    /// Who may open a tap without CAP_NET_ADMIN, besides root.
    public struct Access: Hashable, Sendable {
        /// The user, by number.
        public var owner: UInt32?
        /// The group, by number.
        public var group: UInt32?

        /// Root alone, unless a user or a group is named.
        public init(owner: UInt32? = nil, group: UInt32? = nil) {
            self.owner = owner
            self.group = group
        }
    }

    /// Names other users or groups who may open an existing tap, by attaching one queue for a moment.
    ///
    /// The kernel can change an owner but not take it away: that needs a new tap.
    /// - Throws: EBUSY if it is single-queue and a process holds it; EINVAL if it was made with other flags.
    public static func setAccess(_ name: String, to access: Access) throws(Errno) {
        let device = Descriptor(adopting: try linuxCall { open("/dev/net/tun", O_RDWR | O_CLOEXEC) })
        try linuxCall { sda_tun_attach(device.raw, name, sda_tun_tap_flags) }
        if let owner = access.owner { try linuxCall { sda_tun_set_owner(device.raw, owner) } }
        if let group = access.group { try linuxCall { sda_tun_set_group(device.raw, group) } }
    }
}

/// A tap that goes with this owner unless it is made persistent: a maker that fails or dies leaves nothing behind.
public final class NewTap: Sendable {
    private let device: Descriptor
    /// The number by which the kernel knows it.
    public let index: Int32

    /// Makes a tap: multi-queue, with virtio-net headers, without packet information.
    public convenience init(_ name: String, access: Tap.Access = Tap.Access()) throws(Errno) {
        try self.init(name, access: access, asking: LinkQuery())
    }

    /// Makes a tap: multi-queue, with virtio-net headers, without packet information.
    ///
    /// It is made in the network namespace of the calling thread. A hypervisor must open it with the same three flags
    /// (IFF_MULTI_QUEUE, IFF_VNET_HDR, IFF_NO_PI), else the kernel answers it EINVAL.
    /// - Parameters:
    ///   - name: a legal interface name, at most 15 bytes.
    ///   - links: opened in the same network namespace.
    /// - Throws: EBUSY if an interface of that name exists; ENOENT or ENODEV if the kernel has no TUN driver.
    public init(_ name: String, access: Tap.Access, asking links: borrowing LinkQuery) throws(Errno) {
        let device = Descriptor(adopting: try linuxCall { open("/dev/net/tun", O_RDWR | O_CLOEXEC) })
        try linuxCall { sda_tun_attach(device.raw, name, sda_tun_tap_flags | sda_tun_exclusive) }
        if let owner = access.owner { try linuxCall { sda_tun_set_owner(device.raw, owner) } }
        if let group = access.group { try linuxCall { sda_tun_set_group(device.raw, group) } }
        // Switched on with a carrier, each tap gets its queues' disciplines now and loses them when the descriptor is
        // closed, an RCU grace period of 15 ms each. A kernel before 5.0 cannot, and is slower.
        _ = sda_tun_set_carrier(device.raw, 0)
        index = try links.index(of: name)
        self.device = device
    }

    /// The tap stays when this owner goes (TUNSETPERSIST).
    public func persist() throws(Errno) { try linuxCall { sda_tun_set_persistent(device.raw, 1) } }
}

/// Short questions about links of the network namespace in which it was opened (netdevice(7)): one socket for many.
public struct LinkQuery: ~Copyable, Sendable {
    private let socket: Descriptor

    public init() throws(Errno) {
        // SOCK_DGRAM is an enumeration in Glibc.
        let kind = CInt(SOCK_DGRAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
        socket = Descriptor(adopting: try linuxCall { Glibc.socket(AF_UNIX, kind, 0) })
    }

    /// The number of the link of this name.
    func index(of name: String) throws(Errno) -> Int32 { try linuxCall { sda_link_index(socket.raw, name) } }
}
