import Reconcile

/// What an apply did, as JSON: what `apply --output json` prints and `POST /v1/apply` answers.
struct ApplyDocument: Codable, Hashable, Sendable {
    /// What differed, in the order of the plan, each with its result.
    let changes: [ChangeDocument]
    /// Resources that were as the manifest says already.
    let unchanged: Int
    /// What is not as the manifest says now, or does not work as it should.
    let troubles: [ResourceDocument]
    /// Kinds that could not be looked at.
    let failures: [FailureDocument]
    /// What else an operator should know; absent where there is nothing.
    let note: String?
    /// What `sdagent apply` exits with: 0 where the node is as the manifest says, else 1.
    let exitCode: Int32

    /// What an amendment did, of which all is done.
    ///
    /// - Parameter statuses: how all resources stand.
    init(_ report: AmendmentReport, statuses: [ResourceStatus], note: String? = nil) {
        self.note = note
        changes = report.changes.map { ChangeDocument($0, result: report.performed[$0.id]) }
        unchanged = statuses.count - changes.count
        troubles = statuses.filter(\.state.isTrouble).map(ResourceDocument.init)
        failures = []
        exitCode = 0
    }

    init(_ report: ApplyReport, note: String? = nil) {
        self.note = note
        let differing = report.plan.changes.filter { $0.change != .none }
        changes = differing.map { ChangeDocument($0, result: report.performed[$0.id]) }
        unchanged = report.plan.changes.count - differing.count
        troubles = report.statuses.filter(\.state.isTrouble).map(ResourceDocument.init)
        failures = report.after.failures.map(FailureDocument.init)
        exitCode = report.exitCode
    }
}
