internal import Netlink

/// Whose a chain is, as far as its table tells, and what lets our packets pass it.
public struct ForeignOwner: Sendable {
    /// Who keeps rules in a way of his own.
    private enum Maker {
        case firewalld, docker, ufw
        /// Somebody by iptables.
        case iptables
        /// Somebody by nftables.
        case nftables

        init(of filter: ForeignFilter) {
            let chain = filter.chain
            if chain.table == "firewalld" {
                self = .firewalld
            } else if filter.neighbours.contains("DOCKER-USER") {
                self = .docker
            } else if filter.neighbours.contains(where: { $0.hasPrefix("ufw-") || $0.hasPrefix("ufw6-") }) {
                self = .ufw
            } else {
                let isOfIPTables =
                    ["FORWARD", "PREROUTING"].contains(chain.name) && [.ip, .ip6].contains(chain.family)
                self = isOfIPTables ? .iptables : .nftables
            }
        }

        var possessive: String {
            switch self {
            case .firewalld: "firewalld's "
            case .docker: "Docker's "
            case .ufw: "ufw's "
            case .iptables, .nftables: "the "
            }
        }
    }

    private let maker: Maker
    private let filter: ForeignFilter
    private let canNameBridges: Bool

    /// - Parameter canNameBridges: whether rules of the bridge family can, on this kernel (NFT_BRIDGE_META).
    public init(of filter: ForeignFilter, canNameBridges: Bool) {
        self.filter = filter
        self.canNameBridges = canNameBridges
        maker = Maker(of: filter)
    }

    private var chain: NFRulesetChain { filter.chain }

    private var place: String { "\(chain.family) \(chain.table) \(chain.name)" }

    /// The iptables that has the chain.
    private var tool: String {
        let isOld = chain.table == NFForeignRules.oldTable
        return "ip\(chain.family == .ip6 ? "6" : "")tables\(isOld ? "-legacy" : "")"
    }

    /// The command that lets one bridge pass.
    private func command(_ bridge: String) -> String {
        chain.filtersArriving ? arrival(bridge) : passage(bridge)
    }

    private func arrival(_ bridge: String) -> String {
        switch maker {
        case .firewalld:
            "sed -i 's/^IPv6_rpfilter=.*/IPv6_rpfilter=no/' /etc/firewalld/firewalld.conf && firewall-cmd --reload"
        case .docker, .ufw, .iptables: "\(tool) -t \(chain.table) -I \(chain.name) -i \(bridge) -j ACCEPT"
        case .nftables: "nft insert rule \(place) iifname \(bridge) accept"
        }
    }

    private func passage(_ bridge: String) -> String {
        func accept(_ command: String) -> String {
            "\(command) -i \(bridge) -j ACCEPT && \(command) -o \(bridge) -j ACCEPT"
        }
        return switch maker {
        case .firewalld: "firewall-cmd --permanent --zone=trusted --add-interface=\(bridge) && firewall-cmd --reload"
        case .docker: accept("\(tool) -I DOCKER-USER")
        case .ufw: "ufw route allow in on \(bridge) && ufw route allow out on \(bridge)"
        case .iptables: accept("\(tool) -I FORWARD")
        case .nftables: insertion(bridge)
        }
    }

    private func insertion(_ bridge: String) -> String {
        let rule = "nft insert rule \(place)"
        // In the bridge family an interface is a port; its bridge has a word of its own, where the kernel knows it.
        return switch (chain.family == .bridge, canNameBridges) {
        case (true, true): "\(rule) meta ibrname \(bridge) accept"
        case (true, false): "nft chain \(place) '{ policy accept; }'"
        case (false, _): "\(rule) iifname \(bridge) accept && \(rule) oifname \(bridge) accept"
        }
    }

    /// "Docker's chain 'ip filter FORWARD'".
    public var title: String {
        "\(maker.possessive)chain '\(place)'"
    }

    /// What to type: one command for one bridge, a loop for several.
    public func remedy(for bridges: [String]) -> String {
        switch bridges.count {
        case 0: command("SWITCH")
        case 1: command(bridges[0])
        // A command that names no bridge is typed once.
        case _ where command("a") == command("b"): command("")
        default: "for s in \(bridges.joined(separator: " ")); do \(command("$s")); done"
        }
    }
}
