extension Sketch {
    /// The manifest. `@NAME` stands for the namespace of a guest; who is no guest has a tap.
    func yaml(guests: Set<String>) -> String {
        let sections = [
            section("switches", switches) { Self.map(["mtu": $0.mtu, "ageing": $0.ageing]) },
            section("addressSets", sets) { Self.list($0.map { "\"\($0)\"" }) },
            section("groups", groups) { group in
                Self.map([
                    "ingress": Self.list(group.ingress.map { yaml($0, "from") }),
                    "egress": Self.list(group.egress.map { yaml($0, "to") }),
                    "liveFlows": group.keepsFlows ? "keep" : nil,
                ])
            },
            section("routers", routers, yaml),
            section("vms", nics) { _ in "" },
        ]
        let machines = nics.sorted { $0.key < $1.key }.map { name, nic in
            "  \(name): { nics: [ \(yaml(nic, guests.contains(name) ? name : nil)) ] }"
        }
        return (sections.dropLast().filter { !$0.isEmpty } + (machines.isEmpty ? [] : ["vms:"] + machines))
            .joined(separator: "\n") + "\n"
    }

    private func section<Value>(_ name: String, _ values: [String: Value], _ yaml: (Value) -> String) -> String {
        guard !values.isEmpty else { return "" }
        let entries = values.sorted { $0.key < $1.key }.map { "  \($0.key): \(yaml($0.value))" }
        return (["\(name):"] + entries).joined(separator: "\n")
    }

    private static func map(_ fields: KeyValuePairs<String, Any?>) -> String {
        let given = fields.compactMap { field in field.value.map { "\(field.key): \($0)" } }
        return given.isEmpty ? "{}" : "{ " + given.joined(separator: ", ") + " }"
    }

    private static func list(_ items: [String]) -> String { "[" + items.joined(separator: ", ") + "]" }

    private func yaml(_ rule: Rule, _ side: String) -> String {
        let peers = rule.peers.map { peer in
            switch peer {
            case .network(let network): "\"\(network)\""
            case .group(let name): "{ group: \(name) }"
            case .set(let name): "{ set: \(name) }"
            }
        }
        let others: String? = peers.isEmpty ? nil : Self.list(peers)
        switch rule.traffic {
        case .any: return Self.map(["protocol": "any", side: others])
        case .whole(let word): return Self.map(["protocol": word, side: others])
        case .ports(let word, let ranges):
            let ports = ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
            return Self.map(["protocol": word, "ports": Self.list(ports), side: others])
        case .message(let word, let type): return Self.map(["protocol": word, "types": type, side: others])
        }
    }

    private func yaml(_ router: Router) -> String {
        let interfaces = router.interfaces.sorted { $0.key < $1.key }.map { name, interface in
            let addresses = interface.families.compactMap { family in
                address(of: router, on: name, family).map { "\"\($0)/\(family.subnetLength)\"" }
            }
            return "\(name): { addresses: \(Self.list(addresses)) }"
        }
        let translations = router.translations.map { Self.map(["from": "\"\($0.from)\"", "out": $0.out]) }
        let forwards = router.forwards.compactMap { forward in
            address(of: router, on: forward.listen, forward.family).map { listen in
                let target = forward.family == .v4 ? "\(forward.target)" : "[\(forward.target)]"
                return Self.map([
                    "listen": "\"\(listen)\"", "protocol": forward.transport, "port": forward.port,
                    "to": "\"\(target):\(forward.targetPort)\"",
                ])
            }
        }
        return Self.map([
            "interfaces": "{ \(interfaces.joined(separator: ", ")) }",
            "snat": translations.isEmpty ? nil : Self.list(translations),
            "forwards": forwards.isEmpty ? nil : Self.list(forwards),
        ])
    }

    private func yaml(_ nic: NIC, _ guest: String?) -> String {
        let addresses = nic.families.compactMap { family -> String? in
            guard let address = address(of: nic, family) else { return nil }
            let follows = !nic.hasLength && hasSubnet(nic, address)
            return follows ? "\"\(address)\"" : "\"\(address)/\(family.subnetLength)\""
        }
        let gateways = nic.families.compactMap { gateway(of: nic, $0) }.map { "\"\($0)\"" }
        return Self.map([
            "switch": nic.switchName, "address": addresses.isEmpty ? nil : Self.list(addresses),
            "groups": nic.groups.isEmpty ? nil : Self.list(nic.groups), "mtu": nic.mtu,
            "isolated": nic.isIsolated ? true : nil, "learning": nic.isStatic ? "static" : nil,
            // The blank ends the name that is put in its place.
            "namespace": guest.map { "@\($0) " },
            "gateway": guest == nil || gateways.isEmpty ? nil : Self.list(gateways),
        ])
    }

    /// Whether the router on the NIC's switch has the subnet of the address.
    private func hasSubnet(_ nic: NIC, _ address: Network) -> Bool {
        router(on: nic.switchName).flatMap { self.address(of: $0, on: nic.switchName, address.family) }
            .map { $0.widened(to: address.family.subnetLength).contains(address) } ?? false
    }
}
