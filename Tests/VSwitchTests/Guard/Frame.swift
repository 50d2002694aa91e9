import Netlink

/// One Ethernet frame for the witness program, put together byte by byte.
struct Frame {
    let name: String
    let passes: Bool
    private let bytes: [UInt8]

    init(_ name: String, passes: Bool, _ bytes: [UInt8]) {
        self.name = name
        self.passes = passes
        self.bytes = bytes
    }

    /// One line of the witness program's input.
    var line: String {
        "\(name) " + bytes.map { String(($0 >> 4), radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    static let everybody: [UInt8] = Array(repeating: 0xff, count: 6)

    static func ethernet(from source: MACAddress, type: UInt16, _ payload: [UInt8]) -> [UInt8] {
        // Eight bytes at the end are the witness program's; IP counts them in its length, or the bridge would cut them.
        let end = type == 0x0800 || type == 0x86dd ? [] : [UInt8](repeating: 0, count: 48)
        return everybody + source.bytes + big(type) + payload + end
    }

    /// A frame with a tag before its type.
    static func tagged(_ vlan: UInt16, _ frame: [UInt8], type: UInt16 = 0x8100) -> [UInt8] {
        frame[..<12] + big(type) + big(vlan) + frame[12...]
    }

    static func arp(mac: MACAddress, address: String, operation: UInt16 = 1) -> [UInt8] {
        [0, 1, 8, 0, 6, 4] + big(operation) + mac.bytes + ip(address) + [0, 0, 0, 0, 0, 0] + ip("10.0.0.254")
    }

    static func ipv4(from source: String, udp: [UInt8]) -> [UInt8] { ipv4(from: source, 17, udp) }

    static func ipv4(from source: String, _ next: UInt8, _ payload: [UInt8]) -> [UInt8] {
        let payload = payload + Array(repeating: 0, count: 24)
        let header: [UInt8] = [0x45, 0] + big(UInt16(20 + payload.count)) + [0, 0, 0, 0, 64, next, 0, 0]
        var whole = header + ip(source) + [255, 255, 255, 255]
        let sum = stride(from: 0, to: 20, by: 2).reduce(UInt32(0)) {
            $0 + UInt32(whole[$1]) << 8 + UInt32(whole[$1 + 1])
        }
        let folded = ~UInt16(truncatingIfNeeded: (sum & 0xffff) + (sum >> 16))
        whole.replaceSubrange(10..<12, with: big(folded))
        return whole + payload
    }

    static func udp(from source: UInt16, to destination: UInt16) -> [UInt8] {
        big(source) + big(destination) + big(16) + [0, 0] + Array(repeating: 0, count: 8)
    }

    static func ipv6(from source: String, _ next: UInt8, _ payload: [UInt8], hopLimit: UInt8 = 255) -> [UInt8] {
        [0x60, 0, 0, 0] + big(UInt16(payload.count)) + [next, hopLimit] + ip(source) + ip("ff02::1") + payload
    }

    /// A neighbour solicitation (135) or advertisement (136), with an option that names a MAC, and others around it.
    static func neighbour(
        _ type: UInt8, target: String, option: UInt8? = nil, mac: MACAddress? = nil, before: [UInt8] = [],
        behind: [UInt8] = []
    ) -> [UInt8] {
        var options = before
        if let option, let mac { options += [option, 1] + mac.bytes }
        options += behind
        return [type, 0, 0, 0, 0, 0, 0, 0] + ip(target) + options
    }

    static func ip(_ text: String) -> [UInt8] { IPAddress(text)?.bytes ?? [] }

    private static func big(_ number: UInt16) -> [UInt8] { [UInt8(number >> 8), UInt8(truncatingIfNeeded: number)] }
}
