import Netlink
import Testing

/// The bytes of link messages, one string per wire struct.
struct LinkMessageTests {
    private let mac = MACAddress(rawValue: 0x0200_0000_0007)

    private func name(_ text: String) throws -> InterfaceName { try #require(InterfaceName(text)) }

    @Test func `a bridge`() throws {
        var batch = MessageWriter()
        batch.createBridge(try name("blue"), mac: mac, mtu: 1450)
        #expect(
            hex(batch.bytes)
                == hex(
                    "b4000000 1000 0106 00000000 00000000  # nlmsghdr: 180 bytes, RTM_NEWLINK, REQUEST|CREATE|EXCL",
                    "00 00 0000 00000000 00000000 00000000  # ifinfomsg",
                    "0900 0300 626c756500 000000  # IFLA_IFNAME blue",
                    "0a00 0100 020000000007 0000  # IFLA_ADDRESS",
                    "0800 0400 aa050000  # IFLA_MTU 1450",
                    "7400 1280  # IFLA_LINKINFO, nested",
                    "0b00 0100 62726964676500 00  # IFLA_INFO_KIND bridge",
                    "6400 0280  # IFLA_INFO_DATA, nested",
                    "0800 0500 00000000  # IFLA_BR_STP_STATE off",
                    "0800 0100 00000000  # IFLA_BR_FORWARD_DELAY 0",
                    "0800 0300 d0070000 0600 0600 0080 0000  # IFLA_BR_MAX_AGE 20 s, IFLA_BR_PRIORITY 32768",
                    "0800 0400 30750000  # IFLA_BR_AGEING_TIME 300 s",
                    "0500 1700 00 000000  # IFLA_BR_MCAST_SNOOPING off",
                    "0500 2b00 02 000000 0500 2c00 01 000000  # IFLA_BR_MCAST_IGMP_VERSION 2, MLD_VERSION 1",
                    "0500 1900 00 000000 0800 3100 00000000  # IFLA_BR_MCAST_QUERIER off, FDB_MAX_LEARNED none",
                    "0500 2400 00 000000  # IFLA_BR_NF_CALL_IPTABLES off",
                    "0500 2500 00 000000  # IFLA_BR_NF_CALL_IP6TABLES off"))
    }

    @Test func `a veth pair into another namespace`() throws {
        var batch = MessageWriter()
        batch.createVeth(
            try name("c1"), mac: mac.replacingFirstByte(with: 0xfe), mtu: 1500, far: try name("eth0"), farMAC: mac,
            namespace: 9)
        #expect(
            hex(batch.bytes)
                == hex(
                    "8c000000 1000 0106 00000000 00000000  # nlmsghdr: 140 bytes, RTM_NEWLINK, REQUEST|CREATE|EXCL",
                    "00 00 0000 00000000 00000000 00000000  # ifinfomsg",
                    "0700 0300 633100 00  # IFLA_IFNAME c1",
                    "0a00 0100 fe0000000007 0000  # IFLA_ADDRESS",
                    "0800 0400 dc050000  # IFLA_MTU 1500",
                    "5000 1280  # IFLA_LINKINFO, nested",
                    "0900 0100 7665746800 000000  # IFLA_INFO_KIND veth",
                    "4000 0280  # IFLA_INFO_DATA, nested",
                    "3c00 0180  # VETH_INFO_PEER, nested",
                    "00 00 0000 00000000 00000000 00000000  # ifinfomsg of the far end",
                    "0900 0300 6574683000 000000  # IFLA_IFNAME eth0",
                    "0a00 0100 020000000007 0000  # IFLA_ADDRESS",
                    "0800 0400 dc050000  # IFLA_MTU 1500",
                    "0800 1c00 09000000  # IFLA_NET_NS_FD 9"))
    }

    @Test func `a port: all of it in one message`() throws {
        var change = LinkChange()
        change.mac = mac
        change.mtu = 1400
        change.alias = "sdagent nic/vm1/net0"
        change.master = 7
        change.group = 5
        change.addressGeneration = AddressGeneration.none
        change.isUp = true
        var batch = MessageWriter()
        batch.changeLink(.index(12), change)
        #expect(
            hex(batch.bytes)
                == hex(
                    "6c000000 1000 0100 00000000 00000000  # nlmsghdr: 108 bytes, RTM_NEWLINK, REQUEST",
                    "00 00 0000 0c000000 01000000 01000000  # ifinfomsg: index 12, flags IFF_UP, change IFF_UP",
                    "0a00 0100 020000000007 0000  # IFLA_ADDRESS",
                    "0800 0400 78050000  # IFLA_MTU 1400",
                    "1800 1400 73646167656e74206e69632f766d312f6e657430  # IFLA_IFALIAS, no NUL",
                    "0800 0a00 07000000  # IFLA_MASTER 7",
                    "0800 1b00 05000000  # IFLA_GROUP 5",
                    "1000 1a80 0c00 0a80 0500 0800 01 000000  # IFLA_AF_SPEC { AF_INET6 { ADDR_GEN_MODE none } }"))
    }

    @Test func `deletions, further names and queues`() throws {
        var batch = MessageWriter()
        batch.deleteLink(.name(try name("blue")))
        batch.deleteLinks(inGroup: 77)
        batch.addAlternativeName("long", to: .index(3))
        batch.removeAlternativeName("long", from: .index(3))
        batch.removeQueue(of: 3)
        #expect(
            hex(batch.bytes)
                == hex(
                    "2c000000 1100 0100 00000000 00000000  # nlmsghdr: RTM_DELLINK, REQUEST",
                    "00 00 0000 00000000 00000000 00000000  0900 0300 626c756500 000000  # ifinfomsg, IFLA_IFNAME blue",
                    "28000000 1100 0100 00000000 00000000  # nlmsghdr: RTM_DELLINK, REQUEST",
                    "00 00 0000 00000000 00000000 00000000  0800 1b00 4d000000  # ifinfomsg, IFLA_GROUP 77",
                    "30000000 6c00 010e 00000000 00000000  # nlmsghdr: RTM_NEWLINKPROP, CREATE|EXCL|APPEND",
                    "00 00 0000 03000000 00000000 00000000  # ifinfomsg: index 3",
                    "1000 3480 0900 3500 6c6f6e6700 000000  # IFLA_PROP_LIST { IFLA_ALT_IFNAME long }",
                    "30000000 6d00 0100 00000000 00000000  # nlmsghdr: RTM_DELLINKPROP, REQUEST",
                    "00 00 0000 03000000 00000000 00000000  # ifinfomsg: index 3",
                    "1000 3480 0900 3500 6c6f6e6700 000000  # IFLA_PROP_LIST { IFLA_ALT_IFNAME long }",
                    "30000000 2400 0105 00000000 00000000  # nlmsghdr: RTM_NEWQDISC, REQUEST|CREATE|REPLACE",
                    "00 00 0000 03000000 00000000 ffffffff 00000000  # tcmsg: index 3, parent TC_H_ROOT",
                    "0c00 0100 6e6f717565756500  # TCA_KIND noqueue"))
    }

    @Test func `addresses and routes`() throws {
        let everywhere = try #require(IPPrefix("::/0"))
        let gateway: IPAddress = try #require(IPAddress("fe80::1"))
        var route = Route(to: everywhere, via: gateway, link: 3, metric: 9)
        route.isOnLink = true
        var batch = MessageWriter()
        batch.addAddress(try #require(IPPrefix("10.10.0.1/24")), to: 3)
        batch.removeAddress(try #require(IPPrefix("fd00::1/64")), from: 3)
        batch.addRoute(route)
        batch.removeRoute(Route(to: try #require(IPPrefix("10.20.1.1/16")), table: 1000, kind: .blackhole))
        #expect(
            hex(batch.bytes)
                == hex(
                    "38000000 1400 0106 00000000 00000000  # nlmsghdr: RTM_NEWADDR, REQUEST|CREATE|EXCL",
                    "02 18 00 00 03000000  # ifaddrmsg: AF_INET, /24, index 3",
                    "0800 0200 0a0a0001  0800 0100 0a0a0001  # IFA_LOCAL, IFA_ADDRESS",
                    "0800 0400 0a0a00ff  0500 0b00 c9 000000  # IFA_BROADCAST, IFA_PROTO 201",
                    "40000000 1500 0100 00000000 00000000  # nlmsghdr: RTM_DELADDR, REQUEST",
                    "0a 40 00 00 03000000  # ifaddrmsg: AF_INET6, /64, index 3",
                    "1400 0200 fd000000000000000000000000000001  # IFA_LOCAL",
                    "1400 0100 fd000000000000000000000000000001  # IFA_ADDRESS",
                    "48000000 1800 0106 00000000 00000000  # nlmsghdr: RTM_NEWROUTE, REQUEST|CREATE|EXCL",
                    "0a 00 00 00 fe c9 00 01 04000000  # rtmsg: AF_INET6, /0, main, protocol 201, unicast, ONLINK",
                    "1400 0500 fe800000000000000000000000000001  # RTA_GATEWAY",
                    "0800 0400 03000000  0800 0600 09000000  0800 0f00 fe000000  # RTA_OIF, RTA_PRIORITY, RTA_TABLE",
                    "2c000000 1900 0100 00000000 00000000  # nlmsghdr: RTM_DELROUTE, REQUEST",
                    "02 10 00 00 00 c9 00 06 00000000  # rtmsg: AF_INET, /16, RT_TABLE_UNSPEC, blackhole",
                    "0800 0100 0a140000  0800 0f00 e8030000  # RTA_DST without host bits, RTA_TABLE 1000"))
    }
}
