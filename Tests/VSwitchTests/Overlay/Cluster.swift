import Manifest
import Netlink
import Reconcile
import TestSupport
import Testing
import VSwitch

/// Nodes in namespaces, each with a guest on its switch, joined by an underlay that counts what passes.
///
///     guest 10.10.0.11, fd00:10::11 ── blue  node  eth1 192.0.2.11 ──┐
///     guest 10.10.0.12, fd00:10::12 ── blue  node  eth1 192.0.2.12 ──┼── underlay, a bridge
///     …
struct Cluster {
    let underlay: TestNamespace
    let members: [Member]
    let isIPv4: Bool

    /// One node and its guest.
    struct Member {
        let number: Int
        let space: TestNamespace
        let guest: TestNamespace
        let node: Node

        var mac: String { "02:00:00:00:00:\(number)" }
        var addresses: [String] { ["10.10.0.\(number)", "fd00:10::\(number)"] }
    }

    static func with<Value>(
        _ count: Int = 3, isIPv4: Bool = true, _ body: (Cluster) async throws -> Value
    ) async throws -> Value {
        try await spaces(1 + 2 * count) { spaces in
            let members = (0..<count).map { index in
                let space = spaces[1 + 2 * index]
                let links = LinkListing(in: .namespace(space.name))
                let kinds: [any ResourceKind] = [
                    SwitchKind(links: links), UplinkKind(links: links), OverlayKind(links: links),
                    GuardKind(links: links), NICKind(links: links),
                ]
                return Member(
                    number: 11 + index, space: space, guest: spaces[2 + 2 * index],
                    node: Node(space, Reconciler(kinds: kinds)))
            }
            let cluster = Cluster(underlay: spaces[0], members: members, isIPv4: isIPv4)
            try await cluster.build()
            return try await body(cluster)
        }
    }

    private static func spaces<Value>(
        _ count: Int, _ made: [TestNamespace] = [], _ body: ([TestNamespace]) async throws -> Value
    ) async throws -> Value {
        guard made.count < count else { return try await body(made) }
        return try await TestNamespace.with { try await spaces(count, made + [$0], body) }
    }

    private func build() async throws {
        try await underlay.run("ip", "link", "add", "u", "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
        try await underlay.run("ip", "link", "set", "u", "addrgenmode", "none", "up")
        for member in members {
            let port = "p\(member.number)"
            try await underlay.run(
                "ip", "link", "add", port, "type", "veth", "peer", "eth1", "netns", member.space.name)
            try await underlay.run("ip", "link", "set", port, "addrgenmode", "none", "master", "u", "up")
            try await member.space.run("ip", "link", "set", "eth1", "up")
            let prefix = isIPv4 ? "\(address(member.number))/24" : "\(address(member.number))/64"
            let words = ["ip", "addr", "add", prefix, "dev", "eth1"] + (isIPv4 ? [] : ["nodad"])
            try await output(of: member.space.inside(words))
        }
        // A link's carrier is told in the kernel's own time.
        for member in members.dropFirst() {
            let isThere = try await eventually(within: 20) {
                try await members[0].space.attempt("ping", "-c1", "-W1", address(member.number)).succeeded
            }
            #expect(isThere)
        }
    }

    /// The address of a node in the underlay.
    func address(_ number: Int) -> String { isIPv4 ? "192.0.2.\(number)" : "fd00:1::\(number)" }

    /// The manifest of one node: a switch with an overlay to all others, and a NIC for its guest.
    ///
    /// - Parameters:
    ///   - hosts: whether the guests of the others are named.
    ///   - more: further fields of the overlay.
    func manifest(
        _ member: Member, hosts: Bool = false, more: String = "", switch fields: String = "", peers: [Int]? = nil
    ) -> String {
        let others = members.filter { $0.number != member.number && peers?.contains($0.number) ?? true }.map { other in
            let names = other.addresses.map { "\"\($0)\"" }.joined(separator: ", ")
            let host = hosts ? "hosts: [ { mac: \"\(other.mac)\", address: [\(names)] } ]" : ""
            return hosts ? "{ address: \"\(address(other.number))\", \(host) }" : "\"\(address(other.number))\""
        }
        return """
            switches:
              blue:
                \(fields)
                overlay:
                  { vni: 100, local: "\(address(member.number))", peers: [\(others.joined(separator: ", "))], \(more) }
            vms:
              vm\(member.number):
                nics:
                  - { switch: blue, namespace: \(member.guest.name), mac: "\(member.mac)",
                      address: [\(member.addresses[0])/24, "\(member.addresses[1])/64"] }
            """
    }

    /// Applies a manifest of its own to each node, which must converge.
    func apply(_ manifest: (Member) -> String) async throws {
        for member in members {
            let left = await member.node.apply(try Self.desired(manifest(member)))
            #expect(left == [])
        }
    }

    /// What a manifest asks for; it must be without mistakes.
    static func desired(_ text: String) throws -> Desired {
        let (desired, mistakes) = Manifests.load(text)
        #expect(mistakes == [])
        return try #require(desired)
    }

    /// Every guest reaches every other one, in both families.
    func pingAll() async throws {
        for member in members {
            for other in members where other.number != member.number {
                for address in other.addresses {
                    // A port forwards once its carrier is told, which takes the kernel a second or more.
                    let isReached = try await eventually(within: 15) {
                        try await member.guest.attempt("ping", "-c1", "-W1", address).succeeded
                    }
                    #expect(isReached, "\(member.number) to \(address)")
                }
            }
        }
    }
}

extension Cluster {
    /// What is counted of the frames that come from the nodes into the underlay, by what lies behind the outer UDP
    /// header (8 bytes), the VXLAN header (8) and the inner Ethernet header (14).
    enum Counted: String, CaseIterable {
        /// All that is VXLAN.
        case all = ""
        case arp = "@th,224,16 0x0806"
        /// Neighbour solicitations.
        case solicitations = "@th,224,16 0x86dd @th,288,8 58 @th,560,8 135"
        /// Frames to a MAC address that no guest has.
        case stranger = "@th,128,48 0x020000000099"
    }

    /// The MAC address of nobody.
    static let stranger = "02:00:00:00:00:99"

    /// Begins to count on all ports of the underlay.
    func count() async throws {
        var text = "table netdev tally {\n"
        for kind in Counted.allCases { text += "counter n_\(kind) { }\n" }
        for member in members {
            text += "chain c\(member.number) { type filter hook ingress device p\(member.number) priority 0;\n"
            for kind in Counted.allCases { text += "udp dport 4789 \(kind.rawValue) counter name n_\(kind)\n" }
            text += "}\n"
        }
        try await underlay.run("nft", text + "}")
    }

    /// How many have passed since the last time.
    func counted(_ kind: Counted) async throws -> Int {
        let text = try await underlay.run("nft", "reset", "counter", "netdev", "tally", "n_\(kind)")
        let words = text.split { $0 == " " || $0 == "\n" || $0 == "\t" }
        let place = try #require(words.firstIndex(of: "packets"))
        return try #require(Int(words[place + 1]))
    }
}
