import Netlink
import Testing
import TestSupport

/// Flows of real traffic, listed and forgotten; /proc/net/nf_conntrack is the witness.
@Suite("conntrack", .enabled(if: TestNamespace.isPossible))
struct ConntrackTests {
    /// Two namespaces with a cable between them; the first one tracks its flows.
    private func withPair(_ body: (TestNamespace, TestNamespace) async throws -> Void) async throws {
        try await TestNamespace.with { near in
            try await TestNamespace.with { far in
                try await near.run(
                    "ip", "link", "add", "sdt-c", "type", "veth", "peer", "name", "sdt-c", "netns", far.name)
                for (space, last) in [(near, 1), (far, 2)] {
                    try await space.run("ip", "address", "add", "10.9.0.\(last)/24", "dev", "sdt-c")
                    try await space.run("ip", "address", "add", "fd09::\(last)/64", "dev", "sdt-c", "nodad")
                    try await space.run("ip", "link", "set", "sdt-c", "up")
                }
                try await body(near, far)
            }
        }
    }

    private static func track(_ space: TestNamespace, _ rules: String...) async throws {
        let script =
            "table inet t { chain c { type filter hook output priority -300; "
            + rules.map { $0 + "; " }.joined()
            + "}; chain d { type filter hook output priority 0; ct state new accept; "
            + "ct mark set 0x105; }; }"
        try await space.run("nft", script)
        // A slow machine must not see them expire.
        for timeout in ["icmp_timeout", "icmpv6_timeout", "udp_timeout"] {
            try await space.run("sh", "-c", "echo 600 > /proc/sys/net/netfilter/nf_conntrack_\(timeout)")
        }
    }

    /// The lines of /proc/net/nf_conntrack in the words of that file.
    private static func line(_ entry: ConntrackEntry) -> String {
        let family = entry.original.source.isIPv4 ? "ipv4" : "ipv6"
        return "\(family) \(entry.original.transport) " + side(entry.original) + " " + side(entry.reply)
            + " mark=\(entry.mark)"
    }

    private static func side(_ tuple: ConntrackTuple) -> String {
        let ends =
            switch tuple.ends {
            case .ports(let source, let destination): "sport=\(source) dport=\(destination)"
            case .icmp(let type, let code, let id): "type=\(type) code=\(code) id=\(id)"
            case .none: ""
            }
        return "src=\(tuple.source) dst=\(tuple.destination) \(ends)"
    }

    private static func witness(_ space: TestNamespace) async throws -> Set<String> {
        let lines = try await space.run("cat", "/proc/thread-self/net/nf_conntrack").split(separator: "\n")
        return Set(
            lines.map { line in
                let words = line.split(separator: " ")
                let fields = words.dropFirst(4).filter { word in
                    ["src=", "dst=", "sport=", "dport=", "type=", "code=", "id=", "mark="].contains {
                        word.hasPrefix($0)
                    }
                }.map { word -> String in
                    let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
                    return "\(parts[0])=\(IPAddress(parts[1]).map(\.description) ?? parts[1])"
                }
                return "\(words[0]) \(words[3]) " + fields.joined(separator: " ")
            })
    }

    @Test func `flows are listed as the kernel shows them, and one is forgotten alone`() async throws {
        try await withPair { near, far in
            try await Self.track(near, "ct state new accept")
            try await TemporaryDirectory.with { directory in
                let server = far.inside(["socat", "TCP6-LISTEN:7000,fork,reuseaddr,ipv6only=0", "EXEC:cat"])
                _ = try await RunningCommand.with(server, log: directory.file("server")) { _ in
                    for address in ["10.9.0.2", "fd09::2"] {
                        try await near.run("ping", "-c", "2", "-i", "0.05", address)
                    }
                    for address in ["TCP:10.9.0.2:7000", "TCP:[fd09::2]:7000"] {
                        let isAnswered = try await eventually(within: 10) {
                            try await near.attempt("sh", "-c", "echo hello | socat -t 1 - \(address)").output
                                == "hello\n"
                        }
                        #expect(isAnswered)
                    }
                    for address in ["UDP:10.9.0.2:53", "UDP:[fd09::2]:53"] {
                        try await near.run("sh", "-c", "echo hello | socat -u - \(address)")
                    }
                    var socket = try NetworkLocation.namespace(near.name).socket(.netfilter)
                    let all = try socket.conntrack()
                    #expect(Set(all.map(Self.line)) == (try await Self.witness(near)))
                    #expect(all.count >= 6, "\(all)")
                    let tcp = try #require(all.first { $0.original.transport == 6 && $0.original.source.isIPv4 })
                    #expect(tcp.status.isSuperset(of: [.seenReply, .assured, .confirmed]) && tcp.timeout > 0)
                    for chosen in all {
                        #expect(try socket.forget([chosen]).isEmpty)
                        #expect(try socket.forget([chosen]).isEmpty, "it is gone: no failure")
                        let left = Set(try socket.conntrack().map(\.original))
                        #expect(!left.contains(chosen.original), "\(chosen)")
                        for other in all.drop(while: { $0 != chosen }).dropFirst() {
                            #expect(left.contains(other.original), "\(other)")
                        }
                    }
                    #expect(try socket.conntrack().isEmpty)
                    #expect(try await Self.witness(near).isEmpty)
                }
            }
        }
    }

    @Test func `zones, marks and families are told apart`() async throws {
        try await withPair { near, far in
            try await Self.track(
                near, "ip protocol icmp ct original zone set 7", "ip6 nexthdr icmpv6 ct zone set 9")
            for address in ["10.9.0.2", "fd09::2"] {
                try await near.run("ping", "-c", "2", "-i", "0.05", address)
            }
            try await near.run("sh", "-c", "echo hello | socat -u - UDP:10.9.0.2:53")
            var socket = try NetworkLocation.namespace(near.name).socket(.netfilter)
            let all = try socket.conntrack()
            let seven = try socket.conntrack(ConntrackFilter(zone: 7))
            #expect(seven.count == 1 && seven[0].original.zone == 7 && seven[0].zone == 0, "\(all)")
            let nine = all.filter { $0.zone == 9 }
            #expect(nine.count >= 1 && nine.allSatisfy { !$0.original.source.isIPv4 }, "\(all)")
            #expect(try Set(socket.conntrack(ConntrackFilter(zone: 9)).map(\.id)) == Set(nine.map(\.id)))
            #expect(try socket.conntrack(ConntrackFilter(zone: 0)).contains { $0.original.transport == 17 })
            #expect(try socket.conntrack(ConntrackFilter(isIPv4: true)).allSatisfy { $0.original.source.isIPv4 })
            #expect(try socket.conntrack(ConntrackFilter(isIPv4: false)).count == nine.count)
            let marked = try socket.conntrack(ConntrackFilter(mark: (bits: 0x100, mask: 0xf00)))
            #expect(!marked.isEmpty && marked.allSatisfy { $0.mark == 0x105 })
            #expect(try socket.conntrack(ConntrackFilter(mark: (bits: 0x200, mask: 0xf00))).isEmpty)
            // A flow of another zone with the same tuple is another flow.
            let wrong = ConntrackTuple(
                source: seven[0].original.source, destination: seven[0].original.destination,
                transport: seven[0].original.transport, ends: seven[0].original.ends, zone: 8)
            _ = try socket.forget([ConntrackEntry(original: wrong, reply: seven[0].reply, id: seven[0].id)])
            #expect(try socket.conntrack(ConntrackFilter(zone: 7)).count == 1)
            #expect(try socket.forget(seven + nine).isEmpty)
            let left = try socket.conntrack()
            #expect(!left.isEmpty && left.allSatisfy { $0.originalZone == 0 }, "\(left)")
        }
    }

    @Test func `a few are picked, and a connection met in the middle is known as such`() async throws {
        try await withPair { near, far in
            try await Self.track(near, "ct state new accept")
            try await TemporaryDirectory.with { directory in
                let server = far.inside(["socat", "TCP6-LISTEN:7000,fork,reuseaddr,ipv6only=0", "EXEC:cat"])
                _ = try await RunningCommand.with(server, log: directory.file("server")) { _ in
                    let isListening = try await eventually(within: 20) {
                        try await far.run("ss", "-Hltn").contains(":7000")
                    }
                    #expect(isListening)
                    let talk = "while :; do echo hello; sleep 0.1; done | socat - TCP:$1:7000"
                    let ends = ["10.9.0.2", "[fd09::2]"].map { near.inside(["sh", "-c", talk, "sh", $0]) }
                    _ = try await RunningCommand.with(ends[0], log: directory.file("first")) { _ in
                        _ = try await RunningCommand.with(ends[1], log: directory.file("second")) { _ in
                            func talking() throws -> [ConntrackEntry] {
                                var socket = try NetworkLocation.namespace(near.name).socket(.netfilter)
                                return try socket.conntrack {
                                    $0.original.transport == 6 && $0.status.contains(.assured)
                                }
                            }
                            let areTalking = try await eventually(within: 20) { try talking().count == 2 }
                            let first = try talking()
                            try #require(areTalking && first.count == 2, "\(first)")
                            #expect(first.allSatisfy { !$0.isPickedUp })
                            var socket = try NetworkLocation.namespace(near.name).socket(.netfilter)
                            #expect(try socket.conntrack(atMost: 1).count == 1)
                            let picked = try socket.conntrack(atMost: 1) { $0.id == first[1].id }
                            // Its timeout goes on between two looks.
                            #expect(picked.map(\.original) == [first[1].original])
                            #expect(picked.map(\.reply) == [first[1].reply])
                            #expect(try socket.forget(first).isEmpty)
                            let isBack = try await eventually(within: 20) {
                                try talking().filter(\.isPickedUp).count == 2
                            }
                            let second = try talking()
                            #expect(isBack, "\(second)")
                        }
                    }
                }
            }
        }
    }
}
