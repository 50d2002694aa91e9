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
        var degraded: Set<String> = []
        /// Are changed half the way at the first attempt, as one that has to wait for others in between.
        var halfway: Set<String> = []
        /// Performing on this kind takes everything of the kinds after it away, as a bridge takes its addresses.
        var collapses: String?

        func holder(of place: String) -> ResourceID? {
            guard place.hasPrefix("@") else { return nil }
            for (kind, resources) in values {
                if let name = resources.first(where: { $0.value == place })?.key { return ResourceID(kind, name) }
            }
            return nil
        }
    }
    let contents = Mutex(Contents())
}

struct ToyObservation: Sendable {
    /// Nil where the resource itself is not there.
    var value: String?
    var ours: Bool
    var isDegraded = false
    /// Who has the place that the resource is to have.
    var holder: ResourceID?
}

/// Three kinds that differ in name alone, so that an order among them can be seen.
protocol ToyName { static var name: String { get } }
enum Ground: ToyName { static let name = "ground" }
enum Wall: ToyName { static let name = "wall" }
enum Roof: ToyName { static let name = "roof" }

/// A value that begins with `@` is a place: one resource has it at a time, and it is not changed but left and taken.
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
                seen[name] = ToyObservation(
                    value: value, ours: !contents.foreign.contains(name), isDegraded: contents.degraded.contains(name))
            }
            for (name, spec) in desired.specs(of: Self.self) {
                guard let holder = contents.holder(of: spec), holder != Self.id(name) else { continue }
                seen[name, default: ToyObservation(ours: true)].holder = holder
            }
            return seen
        }
    }

    func diff(name: String, spec: String?, observation: ToyObservation?) -> Change {
        guard let seen = observation, let value = seen.value else {
            return spec.map { .create([FieldChange("value", to: $0)]) } ?? .none
        }
        guard let spec else { return seen.ours ? .delete : .none }
        if !seen.ours { return .conflict(reason: "'\(name)' is there and not ours") }
        if value == spec { return seen.isDegraded ? .degraded(reason: "'\(name)' gives way") : .none }
        if spec.hasPrefix("@") { return .replace(reason: "it moves from \(value)", [FieldChange("value", to: spec)]) }
        return .update([FieldChange("value", from: value, to: spec)])
    }

    func obstacle(_ observation: ToyObservation) -> Obstacle? {
        observation.holder.map { Obstacle($0, "\($0) is there and stays") }
    }

    func perform(_ steps: [Step<String, ToyObservation>], desired: Desired) async -> [StepOutcome] {
        node.contents.withLock { contents in
            if contents.staleTimes > 0 {
                contents.staleTimes -= 1
                return steps.map { _ in .stale("somebody was faster") }
            }
            for step in steps where step.change.word == "replace" { contents.values[Self.name]?[step.name] = nil }
            return steps.map { step in
                contents.log.append("\(step.change.word) \(Self.id(step.name))")
                if contents.refuses.contains(step.name) { return .failed("the node refuses '\(step.name)'") }
                if let spec = step.spec, let holder = contents.holder(of: spec), holder != Self.id(step.name) {
                    return .failed("\(holder) is there")
                }
                let isHalf = contents.halfway.remove(step.name) != nil
                contents.values[Self.name, default: [:]][step.name] = isHalf ? "half" : step.spec
                if contents.collapses == Self.name {
                    contents.collapses = nil
                    contents.values = contents.values.filter { $0.key == Self.name }
                }
                return .done
            }
        }
    }
}
