internal import Netlink
internal import Reconcile

/// A change of a table that is made of groups: what it starts from, and what it is under a policy.
struct Draft {
    let owned: NFOwnedTable
    let sight: NFOwnedTable.Sight?
    let desired: Desired
    /// The table as it is to be.
    let table: (Policy) throws(NFError) -> NFTable?

    /// Why the kernel would refuse the table; nil where it would not.
    func refusal(under policy: Policy) throws(NFError) -> NFError? {
        try owned.refusal(of: table(policy), from: sight)
    }

    /// Commits under the policy of the manifest; where the kernel refuses the rules of some groups, with those closed.
    func contained<Value>(_ commit: (Policy) throws(NFError) -> Value) throws(NFError) -> Value {
        let policy = Policy(desired)
        do throws(NFError) {
            return try commit(policy)
        } catch {
            guard error.isOfRules, let culprits = try Culprits.found(in: self, policy) else { throw error }
            return try commit(policy.closing(culprits))
        }
    }
}
