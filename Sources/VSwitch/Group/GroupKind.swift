public import Reconcile

/// Security groups. A group is no object of the node: its rules are chains of the bridge table, which `guard/bridge`
/// makes of all groups and NICs at once. It is a resource so that others can refer to it.
public struct GroupKind: ResourceKind {
    public static let name = "group"

    public init() {}

    public func observe(_ desired: Desired) async throws -> [String: Never] { [:] }

    public func diff(name: String, spec: GroupSpec?, observation: Never?) -> Change { .none }

    public func perform(_ steps: [Step<GroupSpec, Never>], desired: Desired) async -> [StepOutcome] {
        steps.map { _ in .done }
    }
}

/// Sets of addresses, which groups refer to; likewise no objects of their own.
public struct AddressSetKind: ResourceKind {
    public static let name = "addressSet"

    public init() {}

    public func observe(_ desired: Desired) async throws -> [String: Never] { [:] }

    public func diff(name: String, spec: AddressSetSpec?, observation: Never?) -> Change { .none }

    public func perform(_ steps: [Step<AddressSetSpec, Never>], desired: Desired) async -> [StepOutcome] {
        steps.map { _ in .done }
    }
}
