import CNetlink
import SystemPackage
import Testing

@testable import Netlink

struct MessageReaderTests {
    /// A datagram of one RTM_NEWLINK with a name, an MTU and a nested kind.
    static let datagram = bytes(
        hex(
            "40000000 1000 0200 07000000 00000000  # nlmsghdr: 64 bytes, NLM_F_MULTI, sequence 7",
            "00 00 0100 05000000 00000000 00000000  # ifinfomsg: index 5",
            "0800 0300 62723000  # IFLA_IFNAME br0",
            "0800 0400 aa050000  # IFLA_MTU 1450",
            "1000 1280 0b00 0100 62726964676500 00  # IFLA_LINKINFO { IFLA_INFO_KIND bridge }"))

    private struct Seen: Equatable {
        var types: [Int] = []
        var name: InterfaceName?
        var mtu: UInt32?
        var kind: String?
    }

    private func read(_ datagram: [UInt8]) -> [Seen] {
        datagram.withUnsafeBytes { bytes in
            MessageReader(bytes).map { message in
                var seen = Seen()
                for attribute in message.attributes(after: ifinfomsg.self) {
                    seen.types.append(attribute.type)
                    switch attribute.type {
                    case Int(IFLA_IFNAME): seen.name = attribute.interfaceName
                    case Int(IFLA_MTU): seen.mtu = attribute.number()
                    default: for inner in attribute.nested where inner.isText("bridge") { seen.kind = inner.text }
                    }
                }
                return seen
            }
        }
    }

    @Test func `a message is read`() {
        let seen = read(Self.datagram)
        #expect(seen == [Seen(types: [3, 4, 18], name: InterfaceName("br0"), mtu: 1450, kind: "bridge")])
        #expect(read(Self.datagram + Self.datagram).count == 2)
    }

    @Test func `every truncation is read without a trap`() {
        for length in 0..<Self.datagram.count { #expect(read(Array(Self.datagram.prefix(length))).isEmpty) }
    }

    @Test func `every single damaged byte is read without a trap`() {
        for index in Self.datagram.indices {
            for value in [0, 1, 3, 4, 5, 0x7f, 0x80, 0xff] as [UInt8] {
                var damaged = Self.datagram
                damaged[index] = value
                #expect(read(damaged).count <= 1)
            }
        }
    }

    @Test func `a number of another width is not a number`() {
        let payload: [UInt8] = [6, 0, 4, 0, 1, 2, 0, 0]
        payload.withUnsafeBytes { bytes in
            for attribute in AttributeReader(bytes) {
                #expect(attribute.number(as: UInt32.self) == nil)
                #expect(attribute.number(as: UInt8.self) == nil)
                #expect(attribute.bigEndian(as: UInt16.self) == 0x0102)
                #expect(attribute.macAddress == nil && attribute.address == nil)
            }
        }
    }

    @Test func `the kernel's own words are found in a refusal`() throws {
        let refusal = bytes(
            hex(
                "40000000 0200 0003 01000000 00000000  # nlmsghdr: NLMSG_ERROR, CAPPED|ACK_TLVS",
                "eaffffff 44000000 1000 0506 01000000 00000000  # nlmsgerr: EINVAL, the refused header",
                "1100 0100 496e76616c6964206e616d6500 000000  # NLMSGERR_ATTR_MSG: Invalid name",
                "0800 0200 20000000 # NLMSGERR_ATTR_OFFS: 32"))
        refusal.withUnsafeBytes { bytes in
            let causes = MessageReader(bytes).map { Acknowledgement($0)?.cause }
            #expect(causes == [.refused(.invalidArgument, words: "Invalid name", offset: 32)])
        }
    }
}
