import CNetlink
import Testing

@testable import Netlink

/// Every decoder of the kernel's answers over damaged bytes: they may say nothing, never trap.
struct HostileReplyTests {
    /// A generator that gives the same numbers in each run, so that a failure can be seen again.
    private struct Numbers: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state ^ state >> 29
        }
    }

    /// One message of each kind that is decoded, as the kernel would send it.
    private var messages: [[UInt8]] {
        get throws {
            let blue = try #require(InterfaceName("blue"))
            let prefix: IPPrefix = try #require(IPPrefix("fd00::1/64"))
            let gateway: IPAddress = try #require(IPAddress("10.0.0.1"))
            var writers: [MessageWriter] = Array(repeating: MessageWriter(), count: 10)
            writers[0].createBridge(blue, mac: .derived(from: "x"), mtu: 1500)
            writers[1].addAddress(prefix, to: 3)
            writers[2].addRoute(Route(to: try #require(IPPrefix("10.1.0.0/16")), via: gateway, link: 3, metric: 7))
            writers[3].message(UInt16(NLMSG_ERROR), operation: "answer") {
                $0.append(nlmsgerr(error: -22, msg: nlmsghdr()))
                $0.attribute(1, "words")
                $0.attribute(2, UInt32(8))
            }
            let vxlan = VXLANAttributes(vni: 7, local: gateway, port: 4789, isLearning: true)
            writers[4].createVXLAN(blue, mac: .derived(from: "x"), mtu: 1500, attributes: vxlan)
            writers[5].setForwardingEntry(ForwardingEntry(.derived(from: "x"), to: gateway, on: 3))
            writers[6].setForwardingEntry(ForwardingEntry(.derived(from: "x"), atPort: 3))
            writers[7].setNeighbour(Neighbour(gateway, mac: .derived(from: "x"), link: 3))
            writers[8].message(UInt16(RTM_NEWLINK), operation: "answer") {
                $0.append(ifinfomsg())
                $0.attribute(Int(IFLA_IFNAME), "vx")
                $0.nested(Int(IFLA_LINKINFO)) {
                    $0.attribute(Int(IFLA_INFO_KIND), "vxlan")
                    $0.attribute(Int(IFLA_INFO_SLAVE_KIND), "bridge")
                    $0.nested(Int(IFLA_INFO_SLAVE_DATA)) { $0.attribute(Int(IFLA_BRPORT_LEARNING), UInt8(1)) }
                }
            }
            writers[9].message(UInt16(RTM_NEWLINK), operation: "answer") {
                var header = ifinfomsg()
                header.ifi_family = UInt8(AF_BRIDGE)
                $0.append(header)
                $0.nested(Int(IFLA_AF_SPEC)) {
                    for bytes: [UInt8] in [[6, 0, 1, 0], [8, 0, 20, 0], [16, 0, 30, 0]] {
                        $0.attribute(Int(IFLA_BRIDGE_VLAN_INFO), bytes: bytes)
                    }
                }
            }
            return writers.map(\.bytes) + netfilterMessages
        }
    }

    /// Of the netfilter family: a flow, a logged packet, a set, its elements.
    private var netfilterMessages: [[UInt8]] {
        var flow = MessageWriter()
        let tuple = ConntrackTuple(
            source: .v4(IPv4Address(rawValue: 1)), destination: .v4(IPv4Address(rawValue: 2)), transport: 6,
            ends: .ports(source: 1, destination: 2), zone: 3)
        flow.deleteConntrack(ConntrackEntry(original: tuple, reply: tuple, zone: 4))
        var logged = MessageWriter()
        logged.message(PacketLogMessage.type(NFULNL_MSG_PACKET), operation: "log") {
            $0.append(nfgenmsg())
            $0.attribute(Int(NFULA_PACKET_HDR.rawValue), bytes: [8, 0, 1, 0])
            $0.attribute(Int(NFULA_PREFIX.rawValue), "prefix")
            $0.attribute(Int(NFULA_PAYLOAD.rawValue), bytes: [1, 2, 3])
        }
        var set = NFSet("s", key: [.interfaceName, .ipv6Address], target: .verdict, form: .ranges)
        let key = NFKey(.interface(.derived(from: "p0")), .address(.v6(.unspecified)))
        set.ranges[NFRange(from: key, through: key)] = .verdict(.jump("chain"))
        var ports = NFSet("p", key: [.port], form: .ranges)
        ports.insert([NFRange(.ports(1...5))])
        var made = NFTransaction(generation: 1)
        made.create(NFTable(family: .inet, name: "t", sets: [set, ports], counters: ["c"]))
        return [flow.bytes, logged.bytes, made.bytes]
    }

    /// The decoders of the netfilter family, each of which takes messages for its own.
    private func decodeNetfilter(_ message: Message) -> Int {
        var found = 0
        if ConntrackEntry(message) != nil { found += 1 }
        if LoggedPacket(message) != nil { found += 1 }
        if !SetFrame(message).set.key.isEmpty { found += 1 }
        var elements: [SetElement] = []
        for list in message.attributes(after: nfgenmsg.self) {
            for element in list.nested { elements.append(SetElement(element)) }
            if NFCount(reading: list) != nil { found += 1 }
        }
        return found + NetlinkSocket.ranges(of: elements).count
    }

    private func decodeAll(_ bytes: [UInt8]) -> Int {
        bytes.withUnsafeBytes { raw in
            var found = 0
            for message in MessageReader(raw) {
                if Link(message) != nil { found += 1 }
                if InterfaceAddress(message) != nil { found += 1 }
                if Route(message) != nil { found += 1 }
                if ForwardingEntry(message) != nil { found += 1 }
                if Neighbour(message) != nil { found += 1 }
                if Acknowledgement(message) != nil { found += 1 }
                if PortVLANs.read(message) != nil { found += 1 }
                found += decodeNetfilter(message)
            }
            return found
        }
    }

    @Test func `whole messages are understood`() throws {
        #expect(try messages.allSatisfy { decodeAll($0) >= 1 })
    }

    @Test func `damaged and cut messages are survived`() throws {
        var numbers = Numbers(state: 42)
        for message in try messages {
            for _ in 0..<5000 {
                var damaged = message
                for _ in 0...Int.random(in: 0..<4, using: &numbers) {
                    damaged[Int.random(in: 0..<damaged.count, using: &numbers)] = UInt8.random(
                        in: 0...255, using: &numbers)
                }
                damaged.removeLast(Int.random(in: 0..<damaged.count / 2, using: &numbers))
                #expect(decodeAll(damaged) <= damaged.count)
            }
        }
    }

    @Test func `pure noise is survived`() {
        var numbers = Numbers(state: 7)
        for _ in 0..<5000 {
            let noise = (0..<Int.random(in: 0..<300, using: &numbers)).map { _ in
                UInt8.random(in: 0...255, using: &numbers)
            }
            #expect(decodeAll(noise) <= noise.count)
        }
    }
}
