import CNetlink
import Netlink
import Testing

struct MessageWriterTests {
    @Test func `messages carry lengths, padding and nesting`() {
        var batch = MessageWriter()
        let first = batch.message(UInt16(RTM_NEWLINK), [.create, .exclusive], operation: "create link") {
            $0.append(ifinfomsg())
            $0.attribute(Int(IFLA_IFNAME), "br0")
            $0.attribute(Int(IFLA_MTU), UInt32(1450))
            $0.nested(Int(IFLA_LINKINFO)) {
                $0.attribute(Int(IFLA_INFO_KIND), "bridge")
                $0.flag(9)
            }
        }
        let second = batch.message(UInt16(RTM_DELLINK), operation: "delete link") {
            $0.append(ifinfomsg())
            $0.attribute(200, bytes: [1, 2, 3, 4, 5])
            $0.attribute(201, bigEndian: UInt16(0x0102))
        }
        #expect([first, second, batch.count] == [0, 1, 2])
        #expect(
            hex(batch.bytes)
                == hex(
                    "44000000 1000 0106 00000000 00000000  # nlmsghdr: 68 bytes, RTM_NEWLINK, REQUEST|CREATE|EXCL",
                    "00 00 0000 00000000 00000000 00000000  # ifinfomsg",
                    "0800 0300 62723000  # IFLA_IFNAME br0",
                    "0800 0400 aa050000  # IFLA_MTU 1450",
                    "1400 1280  # IFLA_LINKINFO, nested",
                    "0b00 0100 62726964676500 00  # IFLA_INFO_KIND bridge, padded",
                    "0400 0900  # a flag",
                    "34000000 1100 0100 00000000 00000000  # nlmsghdr: 52 bytes, RTM_DELLINK, REQUEST",
                    "00 00 0000 00000000 00000000 00000000  # ifinfomsg",
                    "0900 c800 0102030405 000000  # 5 bytes, padded",
                    "0600 c900 0102 0000  # a big-endian number, padded"))
    }

    @Test func `thousands of messages fit one buffer`() {
        var batch = MessageWriter()
        for index in 0..<5000 {
            batch.message(UInt16(RTM_DELLINK), operation: "delete link") { writer in
                writer.append(ifinfomsg())
                writer.attribute(Int(IFLA_IFNAME), "port\(index)")
            }
        }
        #expect(batch.count == 5000 && !batch.isEmpty && batch.bytes.count > 5000 * 40)
    }
}
