import Netlink
import TestSupport
import Testing

@testable import VSwitch

/// A broadcast frame that an end sends, and who is to hear it: `b`, or `b:20` with a tag.
struct Cast {
    let label: String
    let from: String
    let bytes: [UInt8]
    let heardBy: [String]

    init(_ label: String, from: String, _ bytes: [UInt8], heardBy: [String] = []) {
        self.label = label
        self.from = from
        self.bytes = bytes
        self.heardBy = heardBy
    }

    /// ARP, IPv4 and IPv6 of an end, all with the same tag or with none.
    static func all(from name: String, host: Int, tag: UInt16? = nil, heardBy: [String] = []) -> [Cast] {
        let mac = mac(name)
        let frames = [
            "arp": Frame.ethernet(from: mac, type: 0x0806, Frame.arp(mac: mac, address: "10.0.0.\(host)")),
            "ipv4": Frame.ethernet(
                from: mac, type: 0x0800, Frame.ipv4(from: "10.0.0.\(host)", udp: Frame.udp(from: 9, to: 9))),
            "ipv6": Frame.ethernet(
                from: mac, type: 0x86dd, Frame.ipv6(from: "fd00::\(host)", 17, Frame.udp(from: 9, to: 9))),
        ]
        return frames.sorted { $0.key < $1.key }.map { kind, frame in
            let tagged = tag.map { Frame.tagged($0, frame) } ?? frame
            return Cast("\(name)/\(kind)" + (tag.map { "/\($0)" } ?? ""), from: name, tagged, heardBy: heardBy)
        }
    }

    /// That of the first NIC of the VM; of other ends just some.
    static func mac(_ name: String) -> MACAddress { .derived(from: "\(name)/net0") }

    fileprivate var hex: String {
        bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }
}

extension Town {
    private static let witness = #filePath.split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/tags.py"

    private var ends: [String] { guests.map { "\($0.key)=\($0.value.name)" }.sorted() }

    /// What was heard by others than those who were to hear it.
    func surprises(_ casts: [Cast]) async throws -> [String] {
        let lines = casts.map { cast in
            let ears = cast.heardBy.isEmpty ? "-" : cast.heardBy.joined(separator: ",")
            return "\(cast.label) \(cast.from) \(cast.hex) \(ears)"
        }
        let words = [
            "sh", "-c", "script=$0; frames=$1; shift; printf '%s\\n' \"$frames\" | python3 $script send \"$@\"",
        ]
        let heard = try await output(of: words + [Self.witness, lines.joined(separator: "\n")] + ends)
        let wanted = casts.map { cast in
            "\(cast.label) " + (cast.heardBy.isEmpty ? "-" : cast.heardBy.sorted().joined(separator: ","))
        }
        return zip(wanted, heard.split(separator: "\n")).filter { $0 != $1 }.map { "\($1), and not \($0)" }
    }

    /// Runs the body while an end sends a frame on and on; returns who has heard one.
    func flooding(_ cast: Cast, _ body: @Sendable () async throws -> Void) async throws -> Set<String> {
        try await TemporaryDirectory.with { directory in
            let words = ["python3", Self.witness, "flood", cast.from, cast.hex] + ends
            try await RunningCommand.with(words, log: directory.file("flood")) { _ in
                _ = try await eventually(within: 20) { try directory.read("flood").contains("ready") }
                try await body()
            }
            let lines = try directory.read("flood").split(separator: "\n")
            return Set(lines.compactMap { $0.hasPrefix("heard ") ? String($0.dropFirst(6)) : nil })
        }
    }

    /// Runs the body again and again, once at least, while one guest pings the others by IPv4 and IPv6.
    ///
    /// - Returns: what the program says of those whose answers did not all come.
    func losses(
        _ pairs: [(from: String, host: Int)], while body: @Sendable () async throws -> Void
    ) async throws -> [String] {
        try await TemporaryDirectory.with { directory in
            let pings = pairs.flatMap { pair in
                ["10.0.0.\(pair.host)", "fd00::\(pair.host)"].compactMap { address in
                    guests[pair.from].map { guest in
                        (guest.inside(["ping", "-n", "-q", "-i", "0.02", "-c", "200", "-W", "10", address]))
                            .joined(separator: " ")
                    }
                }
            }
            let line = pings.map { "\($0) &" }.joined(separator: " ") + " wait"
            try await RunningCommand.with(["sh", "-c", line], log: directory.file("pings")) { running in
                repeat { try await body() } while try await !running.isGone(within: 1)
            }
            let ends = try directory.read("pings").split(separator: "\n").filter { $0.contains("packet loss") }
            #expect(ends.count == pings.count)
            return ends.filter { !$0.contains(" 0% packet loss") }.map(String.init)
        }
    }
}
