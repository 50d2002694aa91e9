import Netlink
import Testing

struct NameTests {
    @Test(arguments: ["a", "eth0", "br-blue", "vm1-net0", "123456789012345", "eth0.100", "...", "a@b"])
    func `a legal interface name is kept`(text: String) {
        #expect(InterfaceName(text)?.description == text)
        #expect(InterfaceName.derived(from: text).description == text)
    }

    @Test(arguments: [
        "", ".", "..", "1234567890123456", "a/b", "a:b", "a b", "tap%d", "a\tb", "ä", "a\u{0}b", "a\u{7f}",
        "all", "default",
    ])
    func `an illegal interface name is refused, and a legal one derived`(text: String) throws {
        #expect(InterfaceName(text) == nil)
        let derived = InterfaceName.derived(from: text)
        #expect(InterfaceName(derived.description) == derived)
        #expect(derived == InterfaceName.derived(from: text))
    }

    /// Names on running nodes depend on these: a change here is a change of every tap.
    @Test(arguments: [
        ("a-very-long-machine-name-net0", "a-very-za1hrgz"), ("a-very-long-machine-name-net1", "a-very-msew49y"),
        ("", "if-v4tbvm6"), ("lo", "lo-3bamevr"), ("all", "all-0qf1vg0"), ("default", "default-ew9txs6"),
    ])
    func `a derived interface name never changes between releases`(text: String, name: String) {
        #expect(InterfaceName.derived(from: text).description == name)
    }

    @Test func `thousands of long names derive to different interface names and MAC addresses`() {
        let texts = (0..<4096).map { "a-very-long-machine-name-\($0)/net0" }
        #expect(Set(texts.map { InterfaceName.derived(from: $0) }).count == texts.count)
        #expect(Set(texts.map { MACAddress.derived(from: $0) }).count == texts.count)
    }

    @Test func `a derived MAC address is local, unicast and never changes`() {
        let mac = MACAddress.derived(from: "vm1/net0")
        #expect(mac.description == "02:c6:0f:68:2c:be")
        #expect(!mac.isMulticast)
        #expect(mac.bytes[0] == 0x02)
        #expect(mac.replacingFirstByte(with: 0xfe).description == "fe:c6:0f:68:2c:be")
    }

    @Test(arguments: [
        "", "52:54:00:12:34", "52:54:00:12:34:5", "52:54:00:12:34:56:", "52-54-00-12-34-56", "g2:54:00:12:34:56",
    ])
    func `a text that is no MAC address is refused`(text: String) { #expect(MACAddress(text) == nil) }

    @Test func `a MAC address is read in either case and printed in lower case`() {
        #expect(MACAddress("52:54:00:AB:cd:EF")?.description == "52:54:00:ab:cd:ef")
        #expect(MACAddress(bytes: [0x52, 0x54, 0, 0xab, 0xcd, 0xef])?.description == "52:54:00:ab:cd:ef")
        #expect(MACAddress(bytes: [1, 2, 3]) == nil)
        #expect(MACAddress("01:00:5e:00:00:01")?.isMulticast == true)
    }
}
