/// Who may open what to whom, as docs/manifest.md says it: a reading of its own, which shares nothing with the product.
///
/// A question is followed as a packet would go: over the switch, or to the router there and on by another switch, with
/// its source or destination translated, then back. On its way it needs the leave of the sender's groups, under the
/// addresses that it was sent with, and that of the receiver's, under those that it arrives with; but behind a forward
/// that leads back into the sender's switch it is the sender that is judged.
struct Expectation: Sendable {
    /// A question to a port (0 for icmp) of an address.
    struct Question: Hashable, Sendable, CustomStringConvertible {
        var from: String
        var how: String
        var to: Network
        var port: UInt16

        var description: String { "\(from) \(how) \(to) \(port)" }
    }

    let sketch: Sketch

    /// Whether there is an answer; nil where kernels differ.
    func answers(_ question: Question) -> Bool? {
        guard let sender = sketch.nics[question.from], let source = sketch.address(of: sender, question.to.family)
        else { return false }
        let packet = Packet(source: source, to: question.to, how: question.how, port: question.port)
        let isNear = isOnLink(sender, question.to)
        if isNear, let receiver = nic(question.to, on: sender.switchName) {
            let isParted = sender.isIsolated && receiver.isIsolated
            return !isParted && isLet(packet, out: sender) && isLet(packet, into: receiver)
        }
        // To its router, or nowhere.
        guard let router = sketch.router(on: sender.switchName),
            let near = sketch.address(of: router, on: sender.switchName, question.to.family),
            isNear ? near == question.to : sketch.gateway(of: sender, question.to.family) != nil
        else { return false }
        if let listen = listener(question.to, router) {
            let forward = router.forwards.first {
                $0.listen == listen && $0.family == question.to.family && $0.transport == question.how
                    && $0.port == question.port
            }
            if let forward { return forwarded(packet, by: forward, of: router, from: sender) }
            // The router's own: it answers a ping, and has no servers.
            return question.how == "icmp" && isLet(packet, out: sender)
        }
        return isLet(packet, out: sender) && arrives(packet, from: sender, router)
    }

    /// What is on the way.
    private struct Packet {
        var source: Network
        var to: Network
        var how: String
        var port: UInt16
    }

    private func forwarded(
        _ packet: Packet, by forward: Sketch.Forward, of router: Sketch.Router, from sender: Sketch.NIC
    ) -> Bool? {
        var led = packet
        (led.to, led.port) = (forward.target, forward.targetPort)
        guard let out = sketch.place(of: led.to, behind: router) else { return false }
        let isLet = isLet(led, out: sender)
        // What a NIC sends to a forward is judged by the one on some kernels, by the other on others.
        guard isLet == self.isLet(packet, out: sender) else { return nil }
        guard out == sender.switchName else { return isLet && arrives(led, from: sender, router) }
        // A neighbour of the target seems to it to be the router, but is judged as who it is.
        guard let target = nic(led.to, on: out) else { return false }
        // What is led back to the sender, or from one isolated NIC to another, passes on some kernels only.
        if target == sender || target.isIsolated && sender.isIsolated { return nil }
        return isLet && self.isLet(led, into: target)
    }

    /// Whether what a router sends on gets to a NIC that lets it in, and the answer back.
    private func arrives(_ packet: Packet, from sender: Sketch.NIC, _ router: Sketch.Router) -> Bool {
        var packet = packet
        guard let out = sketch.place(of: packet.to, behind: router), let receiver = nic(packet.to, on: out) else {
            return false
        }
        if router.translations.contains(where: { $0.out == out && $0.from.contains(packet.source) }),
            let here = sketch.address(of: router, on: out, packet.to.family)
        {
            packet.source = here
        }
        let comesBack = isOnLink(receiver, packet.source) || sketch.gateway(of: receiver, packet.to.family) != nil
        return comesBack && isLet(packet, into: receiver)
    }

    /// Whether a NIC looks for an address on its switch itself.
    private func isOnLink(_ nic: Sketch.NIC, _ address: Network) -> Bool {
        sketch.address(of: nic, address.family)?.widened(to: address.family.subnetLength).contains(address) == true
    }

    private func nic(_ address: Network, on switchName: String) -> Sketch.NIC? {
        sketch.nics.values.first {
            $0.switchName == switchName && sketch.address(of: $0, address.family) == address
        }
    }

    /// The switch on which the router has the address.
    private func listener(_ address: Network, _ router: Sketch.Router) -> String? {
        router.interfaces.keys.first { sketch.address(of: router, on: $0, address.family) == address }
    }
}

// MARK: Groups

extension Expectation {
    private func isLet(_ packet: Packet, out nic: Sketch.NIC) -> Bool {
        nic.groups.isEmpty
            || nic.groups.contains { name in
                sketch.groups[name]?.egress.contains { allows($0, packet, packet.to) } == true
            }
    }

    private func isLet(_ packet: Packet, into nic: Sketch.NIC) -> Bool {
        nic.groups.isEmpty
            || nic.groups.contains { name in
                sketch.groups[name]?.ingress.contains { allows($0, packet, packet.source) } == true
            }
    }

    /// - Parameter other: the address at the other end.
    private func allows(_ rule: Sketch.Rule, _ packet: Packet, _ other: Network) -> Bool {
        guard rule.peers.isEmpty || rule.peers.contains(where: { isPeer($0, other) }) else { return false }
        let names =
            switch packet.how {
            case "tcp": ["tcp", "6"]
            case "udp": ["udp", "17"]
            default: other.family == .v4 ? ["icmp", "1"] : ["icmpv6", "58"]
            }
        switch rule.traffic {
        case .any: return true
        case .whole(let word): return names.contains(word)
        case .ports(let word, let ranges):
            return names.contains(word) && ranges.contains { $0.contains(packet.port) }
        case .message(let word, let type): return names.contains(word) && type == "echo-request"
        }
    }

    private func isPeer(_ peer: Sketch.Peer, _ address: Network) -> Bool {
        switch peer {
        case .network(let network): network.contains(address)
        case .set(let name): sketch.sets[name]?.contains { $0.contains(address) } == true
        case .group(let name):
            sketch.nics.values.contains {
                $0.groups.contains(name) && sketch.address(of: $0, address.family) == address
            }
        }
    }
}
