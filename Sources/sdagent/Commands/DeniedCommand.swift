import ArgumentParser

/// Shows how many packets of each NIC were refused, and by what.
struct DeniedCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "denied", abstract: "Show how many packets of each NIC were refused.",
        discussion: """
            GUARD counts what a NIC sent in another's name, EGRESS what no group lets it send, INGRESS what no group \
            lets in, all on the bridge. A change of other NICs leaves the counts as they are.
            """)

    @OptionGroup var node: NodeOptions
    @OptionGroup var format: OutputOptions

    @Flag(help: "Show NICs of which nothing was refused too.")
    var all = false

    func run() async throws {
        let denied = try await format.telling(node) { try await NodeAccess(node).denied() }
        let shown = DeniedDocument(nics: denied.nics.filter { all || $0.isDenied })
        try Terminal.out(format.output == .json ? JSONText.pretty(shown) : DeniedText(showsAll: all).render(denied))
    }
}
