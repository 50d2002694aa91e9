import ArgumentParser
import Reconcile

/// Shows the difference between a manifest and the node; touches nothing.
struct PlanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan", abstract: "Show what an apply would change; touch nothing.",
        discussion: """
            Exits with 0 where there is nothing to do, with 2 where changes are pending, with 1 on mistakes in the \
            manifest and where something cannot be done.

            The signs before the changes:
            + create    ~ update    ± replace    - delete
            ? kept as an orphan    … waiting for the daemon    ! cannot be done
            """)

    @OptionGroup var node: NodeOptions
    @OptionGroup var format: OutputOptions

    @Flag(help: "Show every change, however many are alike.")
    var all = false

    func run() async throws {
        let plan = try await format.telling(node) { try await NodeAccess(node).plan() }
        switch format.output {
        case .json: try Terminal.out(JSONText.pretty(plan))
        case .text: try Terminal.out(PlanText(limit: all ? nil : 20).render(plan.plan))
        }
        if plan.exitCode != 0 { throw ExitCode(plan.exitCode) }
    }
}
