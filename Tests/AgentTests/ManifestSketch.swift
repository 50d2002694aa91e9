import TestSupport

/// A manifest of NICs with groups as an operator writes it, and edits of it: most are small, some are mistakes.
struct ManifestSketch {
    struct NIC {
        var network: Int
        var addresses: [String]
        var groups: [String]
        var extra = ""
        var comment = ""
    }

    private var sets: [String: [String]] = [:]
    private var rules: [String: [String]] = [:]
    private var nics: [String: NIC] = [:]
    private var isFlow = false
    private var heading = ""
    private var tail = ""

    init(_ dice: inout SeededGenerator) {
        for name in ["office", "lab", "idle"] { sets[name] = [Self.network(&dice)] }
        for number in 0..<5 {
            rules["g\(number)"] = (0..<Int.random(in: 0...3, using: &dice)).map { _ in Self.rule(&dice) }
        }
        for number in 0..<12 { nics["vm\(number)"] = Self.nic(number, &dice) }
        isFlow = Bool.random(using: &dice)
    }

    private static func network(_ dice: inout SeededGenerator) -> String {
        let number = Int.random(in: 0...255, using: &dice)
        return dice.pick(["192.0.2.\(number)", "198.51.\(number).0/24", "'2001:db8:\(number)::/48'"])
    }

    private static func rule(_ dice: inout SeededGenerator) -> String {
        let peer = dice.pick([
            "", ", from: { set: office }", ", from: { set: lab }",
            ", from: { group: g\(Int.random(in: 0..<5, using: &dice)) }",
            ", from: [ \(network(&dice)), { group: g1 } ]",
        ])
        let port = Int.random(in: 1...60_000, using: &dice)
        return dice.pick([
            "{ protocol: tcp, ports: [\(port)]\(peer) }", "{ protocol: any\(peer) }",
            "{ protocol: icmp, types: echo-request\(peer) }",
        ])
    }

    private static func nic(_ number: Int, _ dice: inout SeededGenerator) -> NIC {
        NIC(
            network: Int.random(in: 0...1, using: &dice), addresses: addresses(number, &dice), groups: groups(&dice),
            extra: Int.random(in: 0...3, using: &dice) > 0 ? "" : extra(number, &dice))
    }

    private static func extra(_ number: Int, _ dice: inout SeededGenerator) -> String {
        dice.pick([
            ", mtu: 1400", "", ", dscp: ef", ", interface: x\(number)", ", allow: [10.9.\(number).0/24]",
            ", allow: [10.8.0.\(number)]", ", rate: { ingress: 100Mbit }", ", namespace: n\(number)",
            ", unguarded: [arp]",
            ", isolated: true",
        ])
    }

    private static func addresses(_ number: Int, _ dice: inout SeededGenerator) -> [String] {
        var addresses = ["10.0.\(Int.random(in: 0...3, using: &dice)).\(number + 10)"]
        if Bool.random(using: &dice) {
            addresses.append("'fd00::\(Int.random(in: 0...3, using: &dice)):\(number + 10)'")
        }
        return addresses
    }

    private static func groups(_ dice: inout SeededGenerator) -> [String] {
        dice.pick([["g0"], ["g0", "g1"], ["g2"], ["g1", "g2"], ["g3"], []])
    }

    /// The manifest.
    var text: String {
        var lines = [heading, "switches:", "  s0: {}", "  s1: {}", "routers:", "  r:", "    interfaces:"]
        lines += ["      s0: { addresses: [10.0.0.1/16, 'fd00::1/64'] }", "addressSets:"]
        for (name, members) in sets.sorted(by: { $0.key < $1.key }) {
            lines.append("  \(name): [\(members.joined(separator: ", "))]")
        }
        lines.append("groups:")
        for (name, rules) in rules.sorted(by: { $0.key < $1.key }) {
            if isFlow {
                lines.append(
                    "  \(name): { ingress: [ \(rules.joined(separator: ", ")) ], egress: [ { protocol: any } ] }")
            } else {
                lines += ["  \(name):", "    ingress:"] + rules.map { "      - \($0)" }
            }
        }
        lines.append("vms:")
        for (name, nic) in nics.sorted(by: { $0.key < $1.key }) {
            let groups = nic.groups.isEmpty ? "" : ", groups: [\(nic.groups.joined(separator: ", "))]"
            let address = nic.addresses.isEmpty ? "" : ", address: [\(nic.addresses.joined(separator: ", "))]"
            lines += [
                "  \(name):\(nic.comment)", "    nics: [ { switch: s\(nic.network)\(address)\(groups)\(nic.extra) } ]",
            ]
        }
        return lines.joined(separator: "\n") + "\n" + tail
    }

    /// Changes one thing.
    mutating func edit(_ dice: inout SeededGenerator) {
        let number = Int.random(in: 0..<12, using: &dice)
        let vm = "vm\(number)"
        let group = "g\(Int.random(in: 0..<5, using: &dice))"
        let set = dice.pick(["office", "lab", "idle"])
        switch Int.random(in: 0..<24, using: &dice) {
        case 0..<5: nics[vm]?.addresses = Self.addresses(number, &dice)
        // Perhaps one that another has.
        case 5: nics[vm]?.addresses = Self.addresses((number + 1) % 12, &dice)
        case 6..<9: nics[vm]?.groups = Self.groups(&dice)
        case 9..<13: rules[group]?.append(Self.rule(&dice))
        case 13, 14: if rules[group]?.isEmpty == false { rules[group]?.removeFirst() }
        case 15..<18: sets[set]?.append(Self.network(&dice))
        case 18: sets[set] = [Self.network(&dice)]
        case 19: nics[vm]?.comment = dice.pick(["", "  # seen", "  # old"])
        case 20: nics[vm]?.extra = Self.extra(number, &dice)
        case 21: nics[vm] = nics[vm] == nil ? Self.nic(number, &dice) : nil
        case 22: heading = heading.isEmpty ? "# a node" : ""
        default: tail = dice.pick(["", "# the end\n", "mirrors: {}\n", "nonsense\n"])
        }
    }
}

extension SeededGenerator {
    /// One of them.
    fileprivate mutating func pick<Value>(_ values: [Value]) -> Value {
        values[Int.random(in: values.indices, using: &self)]
    }
}
