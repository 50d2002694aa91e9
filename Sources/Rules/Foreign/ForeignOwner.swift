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
        let tool = "ip\(chain.family == .ip6 ? "6" : "")tables"
        if chain.table == "firewalld" {
            name = "firewalld's "
            command = {
                "firewall-cmd --permanent --zone=trusted --add-interface=\($0) && firewall-cmd --reload"
            }
        } else if filter.neighbours.contains("DOCKER-USER") {
            name = "Docker's "
            command = { "\(tool) -I DOCKER-USER -i \($0) -j ACCEPT && \(tool) -I DOCKER-USER -o \($0) -j ACCEPT" }
        } else if filter.neighbours.contains(where: { $0.hasPrefix("ufw-") || $0.hasPrefix("ufw6-") }) {
            name = "ufw's "
            command = { "ufw route allow in on \($0) && ufw route allow out on \($0)" }
        } else if [.ip, .ip6].contains(chain.family), chain.table == "filter", chain.name == "FORWARD" {
            name = "the "
            command = { "\(tool) -I FORWARD -i \($0) -j ACCEPT && \(tool) -I FORWARD -o \($0) -j ACCEPT" }
        } else {
            let place = "\(chain.family) \(chain.table) \(chain.name)"
            let rule = "nft insert rule \(place)"
            let isOfPorts = chain.family == .bridge
            name = "the "
            // In the bridge family an interface is a port; its bridge has a word of its own, where the kernel knows it.
            command = {
                switch (isOfPorts, canNameBridges) {
                case (true, true): "\(rule) meta ibrname \($0) accept"
                case (true, false): "nft chain \(place) '{ policy accept; }'"
                case (false, _): "\(rule) iifname \($0) accept && \(rule) oifname \($0) accept"
                }
            }
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
