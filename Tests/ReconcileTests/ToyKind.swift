import Manifest
import Reconcile
import Synchronization

/// A kind over a dictionary that stands for the node: real diff and perform, with faults on demand.
final class ToyNode: Sendable {
    struct Contents {
        var values: [String: [String: String]] = [:]
        var foreign: Set<String> = []
        var refuses: Set<String> = []
        /// Answers `stale` this many times before it performs.
        var staleTimes = 0
        var log: [String] = []
        var blind: Set<String> = []
        /// Performing on this kind takes everything of the kinds after it away, as a bridge takes its addresses.
        var collapses: String?
    }
    let contents = Mutex(Contents())
}

struct ToyObservation: Sendable {
    let value: String
    let ours: Bool
}

/// Three kinds that differ in name alone, so that an order among them can be seen.
protocol ToyName { static var name: String { get } }
enum Ground: ToyName { static let name = "ground" }
enum Wall: ToyName { static let name = "wall" }
enum Roof: ToyName { static let name = "roof" }

struct ToyKind<Name: ToyName>: ResourceKind {
    static var name: String { Name.name }
    let node: ToyNode

    struct Blind: Error, CustomStringConvertible {
        var description: String { "the node does not answer" }
    }

    func observe(_ desired: Desired) async throws -> [String: ToyObservation] {
        try node.contents.withLock { contents in
            if contents.blind.contains(Self.name) { throw Blind() }
            var seen: [String: ToyObservation] = [:]
            for (name, value) in contents.values[Self.name] ?? [:] {
                seen[name] = ToyObservation(value: value, ours: !contents.foreign.contains(name))
            }
            return seen
        }
    }

    func diff(name: String, spec: String?, observation: ToyObservation?) -> Change {
        switch (spec, observation) {
        case (let spec?, nil): .create([FieldChange("value", to: spec)])
        case (nil, let seen?): seen.ours ? .delete : .none
        case (let spec?, let seen?):
            if !seen.ours {
                .conflict(reason: "'\(name)' is there and not ours")
            } else if seen.value == spec {
                .none
            } else {
                .update([FieldChange("value", from: seen.value, to: spec)])
            }
        case (nil, nil): .none
        }
    }

    func perform(_ steps: [Step<String, ToyObservation>], desired: Desired) async -> [StepOutcome] {
        node.contents.withLock { contents in
            if contents.staleTimes > 0 {
                contents.staleTimes -= 1
                return steps.map { _ in .stale("somebody was faster") }
            }
            return steps.map { step in
                contents.log.append("\(step.change.word) \(Self.id(step.name))")
                if contents.refuses.contains(step.name) { return .failed("the node refuses '\(step.name)'") }
                contents.values[Self.name, default: [:]][step.name] = step.spec
                if contents.collapses == Self.name {
                    contents.collapses = nil
                    contents.values = contents.values.filter { $0.key == Self.name }
                }
                return .done
            }
        }
    }
}
