internal import Netlink

/// Whose a chain is, as far as its table tells, and what lets our packets pass it.
public struct ForeignOwner: Sendable {
    /// "Docker's ", or "the " where the maker is not known.
    private let name: String
    /// The command that lets one bridge pass.
    private let command: @Sendable (String) -> String
    private let filter: ForeignFilter

    /// - Parameter canNameBridges: whether rules of the bridge family can, on this kernel (NFT_BRIDGE_META).
    public init(of filter: ForeignFilter, canNameBridges: Bool) {
        self.filter = filter
        let chain = filter.chain
        let isFirewalld = chain.table == "firewalld"
        let isUFW = filter.neighbours.contains { $0.hasPrefix("ufw-") || $0.hasPrefix("ufw6-") }
        let isDocker = filter.neighbours.contains("DOCKER-USER")
        name = isFirewalld ? "firewalld's " : isDocker ? "Docker's " : isUFW ? "ufw's " : "the "
        let isOld = chain.table == NFForeignRules.oldTable
        let tool = "ip\(chain.family == .ip6 ? "6" : "")tables\(isOld ? "-legacy" : "")"
        let isOfIPTables = [.ip, .ip6].contains(chain.family) && ["FORWARD", "PREROUTING"].contains(chain.name)
        let isArriving = chain.filtersArriving
        command = { bridge in
            switch (isArriving, isFirewalld, isDocker, isUFW, isOfIPTables) {
            case (true, true, _, _, _):
                "sed -i 's/^IPv6_rpfilter=.*/IPv6_rpfilter=no/' /etc/firewalld/firewalld.conf && firewall-cmd --reload"
            case (true, _, _, _, true): "\(tool) -t \(chain.table) -I PREROUTING -i \(bridge) -j ACCEPT"
            case (true, _, _, _, false): "nft insert rule \(Self.place(chain)) iifname \(bridge) accept"
            case (false, true, _, _, _):
                "firewall-cmd --permanent --zone=trusted --add-interface=\(bridge) && firewall-cmd --reload"
            case (false, _, true, _, _): Self.accept("\(tool) -I DOCKER-USER", bridge)
            case (false, _, _, true, _): "ufw route allow in on \(bridge) && ufw route allow out on \(bridge)"
            case (false, _, _, _, true): Self.accept("\(tool) -I FORWARD", bridge)
            case (false, _, _, _, false): Self.insertion(chain, bridge, canNameBridges: canNameBridges)
            }
        }
    }

    private static func accept(_ command: String, _ bridge: String) -> String {
        "\(command) -i \(bridge) -j ACCEPT && \(command) -o \(bridge) -j ACCEPT"
    }

    private static func place(_ chain: NFRulesetChain) -> String { "\(chain.family) \(chain.table) \(chain.name)" }

    private static func insertion(_ chain: NFRulesetChain, _ bridge: String, canNameBridges: Bool) -> String {
        let rule = "nft insert rule \(place(chain))"
        // In the bridge family an interface is a port; its bridge has a word of its own, where the kernel knows it.
        return switch (chain.family == .bridge, canNameBridges) {
        case (true, true): "\(rule) meta ibrname \(bridge) accept"
        case (true, false): "nft chain \(place(chain)) '{ policy accept; }'"
        case (false, _): "\(rule) iifname \(bridge) accept && \(rule) oifname \(bridge) accept"
        }
    }

    /// "Docker's chain 'ip filter FORWARD'".
    public var title: String {
        "\(name)chain '\(filter.chain.family) \(filter.chain.table) \(filter.chain.name)'"
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
