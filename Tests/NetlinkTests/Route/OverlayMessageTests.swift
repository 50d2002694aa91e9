import Netlink
import Testing

/// The bytes of messages about VXLAN links, bridge ports, forwarding entries and neighbours, a string per wire struct.
struct OverlayMessageTests {
    private let mac = MACAddress(rawValue: 0x0200_0000_0007)
    private let v4: IPAddress = .v4(IPv4Address(rawValue: 0xc000_020b))
    private let v6: IPAddress = .v6(IPv6Address(rawValue: 0xfd00 << 112 | 0xb))

    private func name(_ text: String) throws -> InterfaceName { try #require(InterfaceName(text)) }

    @Test func `a VXLAN link over IPv4 and one over IPv6`() throws {
        var batch = MessageWriter()
        let first = VXLANAttributes(vni: 100, local: v4, port: 4789, isLearning: false)
        batch.createVXLAN(try name("vx"), mac: mac, mtu: 1450, attributes: first)
        let second = VXLANAttributes(vni: 0xff_ffff, local: v6, port: 8472, isLearning: true)
        batch.createVXLAN(try name("vx"), mac: mac, mtu: 1430, attributes: second)
        #expect(
            hex(batch.bytes)
                == hex(
                    "90000000 1000 0106 00000000 00000000  # nlmsghdr: 144 bytes, RTM_NEWLINK, REQUEST|CREATE|EXCL",
                    "00 00 0000 00000000 00000000 00000000  # ifinfomsg",
                    "0700 0300 767800 00  # IFLA_IFNAME vx",
                    "0a00 0100 020000000007 0000  # IFLA_ADDRESS",
                    "0800 0400 aa050000  # IFLA_MTU 1450",
                    "5400 1280  # IFLA_LINKINFO, nested",
                    "0a00 0100 76786c616e00 0000  # IFLA_INFO_KIND vxlan",
                    "4400 0280  # IFLA_INFO_DATA, nested",
                    "0800 0100 64000000  # IFLA_VXLAN_ID 100",
                    "0600 0f00 12b5 0000  # IFLA_VXLAN_PORT 4789, network order",
                    "0500 1200 01 000000  # IFLA_VXLAN_UDP_CSUM on",
                    "0800 0400 c000020b  # IFLA_VXLAN_LOCAL",
                    "0500 0700 00 000000  # IFLA_VXLAN_LEARNING off",
                    "0800 0800 2c010000  # IFLA_VXLAN_AGEING 300",
                    "0500 0500 00 000000  # IFLA_VXLAN_TTL: the route's",
                    "0500 1d00 01 000000  # IFLA_VXLAN_DF set",
                    "9c000000 1000 0106 00000000 00000000  # nlmsghdr: 156 bytes, RTM_NEWLINK, REQUEST|CREATE|EXCL",
                    "00 00 0000 00000000 00000000 00000000  # ifinfomsg",
                    "0700 0300 767800 00  # IFLA_IFNAME vx",
                    "0a00 0100 020000000007 0000  # IFLA_ADDRESS",
                    "0800 0400 96050000  # IFLA_MTU 1430",
                    "6000 1280  # IFLA_LINKINFO, nested",
                    "0a00 0100 76786c616e00 0000  # IFLA_INFO_KIND vxlan",
                    "5000 0280  # IFLA_INFO_DATA, nested",
                    "0800 0100 ffffff00  # IFLA_VXLAN_ID 16777215",
                    "0600 0f00 2118 0000  # IFLA_VXLAN_PORT 8472, network order",
                    "0500 1300 00 000000  # IFLA_VXLAN_UDP_ZERO_CSUM6_TX off",
                    "1400 1100 fd00000000000000000000000000000b  # IFLA_VXLAN_LOCAL6",
                    "0500 0700 01 000000  # IFLA_VXLAN_LEARNING on",
                    "0800 0800 2c010000  # IFLA_VXLAN_AGEING 300",
                    "0500 0500 00 000000  # IFLA_VXLAN_TTL: the route's",
                    "0500 1d00 00 000000  # IFLA_VXLAN_DF unset"))
    }

    @Test func `changes of a VXLAN link and of a bridge port`() throws {
        var tunnel = VXLANAttributes(vni: 100, local: v4, port: 4789, isLearning: true)
        tunnel.fragmentation = .inherited
        var port = BridgePortAttributes()
        port.isLearning = false
        port.suppressesNeighbours = true
        var batch = MessageWriter()
        batch.changeVXLAN(.index(3), tunnel)
        batch.changeBridgePort(.index(3), port)
        #expect(
            hex(batch.bytes)
                == hex(
                    "5c000000 1000 0100 00000000 00000000  # nlmsghdr: 92 bytes, RTM_NEWLINK, REQUEST",
                    "00 00 0000 03000000 00000000 00000000  # ifinfomsg: index 3",
                    "3c00 1280  # IFLA_LINKINFO, nested",
                    "0a00 0100 76786c616e00 0000  # IFLA_INFO_KIND vxlan",
                    "2c00 0280  # IFLA_INFO_DATA, nested",
                    "0800 0400 c000020b  0500 0700 01 000000  # IFLA_VXLAN_LOCAL, IFLA_VXLAN_LEARNING on",
                    "0800 0800 2c010000  0500 0500 00 000000  # IFLA_VXLAN_AGEING 300, IFLA_VXLAN_TTL: the route's",
                    "0500 1d00 02 000000  # IFLA_VXLAN_DF inherit",
                    "74000000 1000 0100 00000000 00000000  # nlmsghdr: 116 bytes, RTM_NEWLINK, REQUEST",
                    "00 00 0000 03000000 00000000 00000000  # ifinfomsg: index 3",
                    "5400 1280  # IFLA_LINKINFO, nested",
                    "0b00 0400 62726964676500 00  # IFLA_INFO_SLAVE_KIND bridge",
                    "4400 0580  # IFLA_INFO_SLAVE_DATA, nested",
                    "0500 0800 00 000000  0500 0900 01 000000  # IFLA_BRPORT_LEARNING off, UNICAST_FLOOD on",
                    "0500 1b00 01 000000  0500 1e00 01 000000  # MCAST_FLOOD on, BCAST_FLOOD on",
                    "0500 2000 01 000000  0500 2100 00 000000  # NEIGH_SUPPRESS on, ISOLATED off",
                    "0500 2700 00 000000  0500 0500 00 000000  # LOCKED off, GUARD off"))
    }

    @Test func `forwarding entries`() throws {
        var batch = MessageWriter()
        batch.setForwardingEntry(ForwardingEntry(MACAddress(rawValue: 0), to: v4, on: 3))
        batch.setForwardingEntry(ForwardingEntry(mac, to: v6, on: 3))
        batch.setForwardingEntry(ForwardingEntry(mac, atPort: 3))
        batch.removeForwardingEntry(ForwardingEntry(mac, atPort: 3))
        var odd = ForwardingEntry(mac, to: v4, on: 3)
        odd.detour.port = 4790
        odd.detour.vni = 7
        odd.detour.interface = 2
        batch.removeForwardingEntry(odd)
        #expect(
            hex(batch.bytes)
                == hex(
                    "30000000 1c00 010c 00000000 00000000  # nlmsghdr: RTM_NEWNEIGH, REQUEST|CREATE|APPEND",
                    "07 00 0000 03000000 8000 02 00  # ndmsg: AF_BRIDGE, index 3, NUD_PERMANENT, NTF_SELF",
                    "0a00 0200 000000000000 0000  0800 0100 c000020b  # NDA_LLADDR, NDA_DST",
                    "3c000000 1c00 0105 00000000 00000000  # nlmsghdr: RTM_NEWNEIGH, REQUEST|CREATE|REPLACE",
                    "07 00 0000 03000000 8000 02 00  # ndmsg: AF_BRIDGE, index 3, NUD_PERMANENT, NTF_SELF",
                    "0a00 0200 020000000007 0000  1400 0100 fd00000000000000000000000000000b  # NDA_LLADDR, NDA_DST",
                    "28000000 1c00 0105 00000000 00000000  # nlmsghdr: RTM_NEWNEIGH, REQUEST|CREATE|REPLACE",
                    "07 00 0000 03000000 4000 44 00  # ndmsg: AF_BRIDGE, index 3, NUD_NOARP, NTF_MASTER|NTF_STICKY",
                    "0a00 0200 020000000007 0000  # NDA_LLADDR",
                    "28000000 1d00 0100 00000000 00000000  # nlmsghdr: RTM_DELNEIGH, REQUEST",
                    "07 00 0000 03000000 0000 04 00  # ndmsg: AF_BRIDGE, index 3, NTF_MASTER",
                    "0a00 0200 020000000007 0000  # NDA_LLADDR",
                    "48000000 1d00 0100 00000000 00000000  # nlmsghdr: RTM_DELNEIGH, REQUEST",
                    "07 00 0000 03000000 0000 02 00  # ndmsg: AF_BRIDGE, index 3, NTF_SELF",
                    "0a00 0200 020000000007 0000  0800 0100 c000020b  # NDA_LLADDR, NDA_DST",
                    "0600 0600 12b6 0000  0800 0700 07000000  0800 0800 02000000  # NDA_PORT, NDA_VNI, NDA_IFINDEX"))
    }

    @Test func `neighbours`() throws {
        var batch = MessageWriter()
        batch.setNeighbour(Neighbour(v4, mac: mac, link: 3))
        batch.removeNeighbour(Neighbour(v6, mac: mac, link: 3))
        #expect(
            hex(batch.bytes)
                == hex(
                    "38000000 1c00 0105 00000000 00000000  # nlmsghdr: RTM_NEWNEIGH, REQUEST|CREATE|REPLACE",
                    "02 00 0000 03000000 8000 00 00  # ndmsg: AF_INET, index 3, NUD_PERMANENT",
                    "0800 0100 c000020b  0a00 0200 020000000007 0000  # NDA_DST, NDA_LLADDR",
                    "0500 0c00 c9 000000  # NDA_PROTOCOL 201",
                    "30000000 1d00 0100 00000000 00000000  # nlmsghdr: RTM_DELNEIGH, REQUEST",
                    "0a 00 0000 03000000 0000 00 00  # ndmsg: AF_INET6, index 3",
                    "1400 0100 fd00000000000000000000000000000b  # NDA_DST"))
    }
}
