public import Reconcile

/// Sets of addresses, which groups refer to. No objects of the node, as groups are none.
public struct AddressSetKind: ResourceKind {
    public static let name = "addressSet"

    public init() {}

    public func observe(_ desired: Desired) async throws -> [String: Never] { [:] }

    public func diff(name: String, spec: AddressSetSpec?, observation: Never?) -> Change { .none }

    public func steps(for changes: [SpecChange<AddressSetSpec>]) -> [Step<AddressSetSpec, Never>]? { [] }

    public func perform(_ steps: [Step<AddressSetSpec, Never>], desired: Desired) async -> [StepOutcome] {
        steps.map { _ in .done }
    }
}
