import Netlink
import Testing

struct AddressTests {
    @Test(
        arguments: [
            ("0.0.0.0", 0), ("10.0.0.1", 0x0a00_0001), ("255.255.255.255", 0xffff_ffff), ("192.0.2.10", 0xc000_020a),
        ] as [(String, UInt32)])
    func `an IPv4 address is read and printed`(text: String, number: UInt32) {
        #expect(IPv4Address(text)?.rawValue == number)
        #expect(IPv4Address(rawValue: number).description == text)
        #expect(IPv4Address(bytes: IPv4Address(rawValue: number).bytes)?.rawValue == number)
    }

    @Test(arguments: [
        "", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.4 ", " 1.2.3.4", "1..2.3", "1.2.3.", "0x1.2.3.4",
        "1.2.3.-4", "1.2.3.+4", "1.2.3.1000", "1.2.3.４", "1.2.3.4/8",
    ])
    func `a text that is no IPv4 address is refused`(text: String) { #expect(IPv4Address(text) == nil) }

    @Test(arguments: [
        ("::", "::"), ("::1", "::1"), ("1::", "1::"), ("fd00:10::1", "fd00:10::1"), ("FE80::ABCD", "fe80::abcd"),
        ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
        ("2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"), ("0:0:0:0:0:0:0:0", "::"),
        ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
        ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"), ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
        ("::ffff:c000:201", "::ffff:192.0.2.1"),
        ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"), ("0001:0020:0300::", "1:20:300::"),
        ("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ])
    func `an IPv6 address is read and printed as RFC 5952 says`(text: String, canonical: String) throws {
        let address = try #require(IPv6Address(text))
        #expect(address.description == canonical)
        #expect(IPv6Address(canonical) == address)
        #expect(IPv6Address(bytes: address.bytes) == address)
    }

    @Test(arguments: [
        "", ":", ":::", "1", "1:2", ":1", "1:", "1:::2", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
        "::1:2:3:4:5:6:7:8",
        "1:2:3:4:5:6:7:8::", "12345::", "g::", "::1%eth0", "::1.2.3", "1.2.3.4::", "::1.2.3.4:1",
        "1:2:3:4:5:6:7:1.2.3.4", " ::1",
        ":1::", "::1:", "1::/64", "::::", ":1:2:3:4:5:6:7",
    ])
    func `a text that is no IPv6 address is refused`(text: String) { #expect(IPv6Address(text) == nil) }

    @Test func `a link-local address follows from the MAC`() throws {
        let mac = try #require(MACAddress("52:54:00:12:34:56"))
        #expect(IPv6Address.linkLocal(of: mac).description == "fe80::5054:ff:fe12:3456")
        #expect(IPv6Address.linkLocal(of: mac).isLinkLocal)
    }

    @Test(arguments: [
        ("10.10.0.1/24", "10.10.0.0/24"), ("10.10.0.1/32", "10.10.0.1/32"), ("10.10.0.1/0", "0.0.0.0/0"),
        ("fd00:10::1/64", "fd00:10::/64"), ("fd00:10::1/128", "fd00:10::1/128"), ("fd00:10::1/0", "::/0"),
        ("fdff:10::1/9", "fd80::/9"),
    ])
    func `a prefix keeps its host bits and knows its network`(text: String, network: String) throws {
        let prefix = try #require(IPPrefix(text))
        #expect(prefix.description == text)
        #expect(prefix.network.description == network)
        #expect(prefix.network.isNetwork)
        #expect(prefix.isNetwork == (text == network))
        #expect(prefix.contains(prefix.address))
        #expect(prefix.network.contains(prefix))
    }

    @Test(arguments: [
        "10.0.0.1", "10.0.0.1/", "10.0.0.1/33", "10.0.0.1/-1", "10.0.0.1/024", "10.0.0.1/2/4", "/24", "::1/129", "::1",
        "10.0.0.1/ 8",
    ])
    func `a text that is no prefix is refused`(text: String) { #expect(IPPrefix(text) == nil) }

    @Test func `a network contains its own addresses and no others`() throws {
        let four = try #require(IPPrefix("10.10.0.1/24"))
        #expect(four.contains(try #require(IPAddress("10.10.0.255"))))
        #expect(!four.contains(try #require(IPAddress("10.10.1.0"))))
        #expect(!four.contains(try #require(IPAddress("::"))))
        #expect(four.contains(try #require(IPPrefix("10.10.0.128/25"))))
        #expect(!four.contains(try #require(IPPrefix("10.10.0.0/23"))))
        let six = try #require(IPPrefix("fd00:10::1/64"))
        #expect(six.contains(try #require(IPAddress("fd00:10::ffff:ffff:ffff:ffff"))))
        #expect(!six.contains(try #require(IPAddress("fd00:10:0:1::"))))
        #expect(IPv4Prefix("10.10.0.1/24")?.last.description == "10.10.0.255")
        #expect(IPv6Prefix("fd00::/120")?.last.description == "fd00::ff")
    }
}
