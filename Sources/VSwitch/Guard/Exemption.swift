internal import Manifest

/// What a NIC is let: the fields `allow` and `unguarded`, and what cannot go together.
struct Exemption {
    let allow: Allowance
    let unguarded: Set<Guard>

    /// - Parameters:
    ///   - isBound: whether the NIC has addresses to which it is held.
    ///   - port: how the switch treats its port.
    init(reading fields: inout Fields, isBound: Bool, _ port: PortSettings) {
        let allowNode = fields.node("allow")
        allow = Allowance(reading: &fields)
        if let allowNode, !isBound, !allow.networks.isEmpty {
            fields.diagnostics.report(
                at: allowNode, "'allow' adds to 'address', and \(fields.subject) has none: it may send from any",
                hint: "give it an address, or leave these out of 'allow'")
        }
        if let allowNode, port.learning == .fixed, let mac = allow.macs.first {
            fields.diagnostics.report(
                at: allowNode, "a port with static learning takes no frame from \(mac)",
                hint: "leave out 'learning' or the MAC address")
        }
        unguarded = Self.words(&fields, isBound, port)
    }

    private static func words(_ fields: inout Fields, _ isBound: Bool, _ port: PortSettings) -> Set<Guard> {
        let subject = fields.subject
        var found: Set<Guard> = []
        _ = fields.list("unguarded") { item, diagnostics -> Bool? in
            guard let word = item.choice(Guard.self, as: "'unguarded' of \(subject)", diagnostics) else { return nil }
            switch word {
            case _ where !found.insert(word).inserted:
                diagnostics.report(at: item, "guard '\(word.rawValue)' is named twice", hint: "once is enough")
            case .ipv4 where !isBound, .ipv6 where !isBound:
                diagnostics.report(
                    at: item,
                    "'\(word.rawValue)' guards nothing here: \(subject) has no 'address', and may send from any",
                    hint: "leave it out")
            case .mac where port.learning == .fixed:
                diagnostics.report(
                    at: item, "a port with static learning takes frames from the nic's own MAC address only",
                    hint: "leave out 'learning' or 'mac'")
            default: break
            }
            return true
        }
        return found
    }
}

extension Set<Guard> {
    /// In the order in which they are declared.
    var words: String { Guard.allCases.filter(contains).map(\.rawValue).joined(separator: ", ") }
}
