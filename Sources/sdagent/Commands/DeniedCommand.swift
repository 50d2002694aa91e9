import ArgumentParser

/// Shows how many packets of each NIC were refused, and by what.
struct DeniedCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "denied", abstract: "Show how many packets of each NIC were refused.",
        discussion: """
            WHY says for what reason. mac, arp, ipv4, ipv6, nd, dhcp, ra and querier are the guards, by the words of \
            `unguarded`: what the NIC sent in another's name, or as a router, DHCP server or multicast router. \
            ethertype: it sent neither ARP nor IPv4 nor IPv6, or with the tag of a VLAN that is not its own. egress: \
            no group lets it send that. ingress: no group lets that in, from a neighbour or by a router. invalid: part \
            of a connection that nobody knows.

            A NIC is counted from its first refused packet on, and forgotten a day after the last one.
            """)

    @OptionGroup var node: NodeOptions
    @OptionGroup var format: OutputOptions

    @Flag(help: "Show NICs of which nothing was refused too.")
    var all = false

    func run() async throws {
        let denied = try await format.telling(node) { try await NodeAccess(node).denied() }
        let shown = denied.nics.filter { all || $0.isDenied }
        switch format.output {
        case .json: try Terminal.out(JSONText.pretty(DeniedDocument(nics: shown)))
        case .text: try Terminal.out(DeniedText().render(shown, of: denied.nics.count))
        }
    }
}
