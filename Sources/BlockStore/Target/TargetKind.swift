internal import ISCSI
public import Reconcile
public import Syscall

/// What a server shows of a target.
public struct TargetObservation: Sendable {
    public let portals: [SocketAddress]
    public let units: [UInt16: TargetSpec.Unit]
    public let access: TargetSpec.Access
    /// The secrets in force are those of the files.
    public let secretsAreCurrent: Bool
    /// Initiators that are logged in.
    public let initiators: [String]
}

/// Targets: served by the daemon, which alone has a `TargetServer`; elsewhere they wait for it.
public struct TargetKind: ResourceKind {
    public static let name = "target"

    private let server: TargetServer?

    /// - Parameter server: of the daemon; nil in a command that serves nothing.
    public init(_ server: TargetServer?) {
        self.server = server
    }

    public func observe(_ desired: Desired) async throws -> [String: TargetObservation] {
        await server?.observe() ?? [:]
    }

    public func diff(name: String, spec: TargetSpec?, observation: TargetObservation?) -> Change {
        guard server != nil else {
            return spec == nil ? .none : .waiting(reason: "targets are served by `sdagent run`")
        }
        guard let spec else { return .delete }
        let fields = Self.fields(spec, observation)
        guard observation != nil else { return .create(fields) }
        return fields.isEmpty ? .none : .update(fields)
    }

    private static func fields(_ spec: TargetSpec, _ seen: TargetObservation?) -> [FieldChange] {
        var fields: [FieldChange] = []
        func compare(_ field: String, _ from: String?, _ to: String?) {
            if from != to { fields.append(FieldChange(field, from: from, to: to)) }
        }
        compare("portals", seen.map { words($0.portals) }, words(spec.portals))
        for number in Set(spec.units.keys).union(seen?.units.keys.map { $0 } ?? []).sorted() {
            compare("luns.\(number)", seen?.units[number].map(words), spec.units[number].map(words))
        }
        compare("access.initiators", seen.map { words($0.access.initiators) }, words(spec.access.initiators))
        compare("access.chap", seen?.access.chap?.user, spec.access.chap?.user)
        compare("access.mutual", seen?.access.mutual?.user, spec.access.mutual?.user)
        if let seen, !seen.secretsAreCurrent || files(seen.access) != files(spec.access) {
            fields.append(FieldChange("access.secrets", from: "as read before", to: "as in the files now"))
        }
        return fields
    }

    /// Who is logged in loses a number that leads elsewhere or nowhere, and its session with its right to be here.
    public func disruption(_ change: Change, spec: TargetSpec?, observation: TargetObservation?) -> [String] {
        guard let seen = observation, !seen.initiators.isEmpty else { return [] }
        guard let spec else { return ["ends the sessions of \(Self.names(seen.initiators))"] }
        let (staying, leaving) = Self.partition(seen.initiators, spec.access)
        var lines = leaving.isEmpty ? [] : ["ends the sessions of \(Self.names(leaving)), no longer admitted"]
        guard !staying.isEmpty else { return lines }
        let names = Self.names(staying)
        for (number, old) in seen.units.sorted(by: { $0.key < $1.key }) {
            switch spec.units[number] {
            case nil: lines.append("takes LUN \(number) (\(old.volume)) from \(names)")
            case let new? where new.volume != old.volume:
                lines.append(
                    "takes LUN \(number) (\(old.volume)) from \(names); there is \(new.volume) after the next login")
            case let new? where new.isReadOnly && !old.isReadOnly:
                lines.append("LUN \(number) (\(old.volume)) can no longer be written by \(names)")
            case _?: break
            }
        }
        return lines
    }

    private static func partition(
        _ initiators: [String], _ access: TargetSpec.Access
    ) -> (staying: [String], leaving: [String]) {
        let unique = Set(initiators).sorted()
        let staying = unique.filter { name in
            access.initiators.map { $0.contains { NamePattern.matches($0, name.lowercased()) } } ?? true
        }
        return (staying, unique.filter { !staying.contains($0) })
    }

    /// A few names, and how many more.
    private static func names(_ initiators: [String]) -> String {
        let unique = Set(initiators).sorted()
        guard unique.count > 4 else { return unique.joined(separator: ", ") }
        return unique.prefix(3).joined(separator: ", ") + " and \(unique.count - 3) more"
    }

    private static func files(_ access: TargetSpec.Access) -> [String?] { [access.chap?.file, access.mutual?.file] }

    private static func words(_ portals: [SocketAddress]) -> String {
        portals.map(\.description).joined(separator: ", ")
    }

    private static func words(_ unit: TargetSpec.Unit) -> String {
        unit.isReadOnly ? "\(unit.volume) (read-only)" : unit.volume
    }

    private static func words(_ initiators: [String]?) -> String {
        initiators?.joined(separator: ", ") ?? "any"
    }

    public func perform(
        _ steps: [Step<TargetSpec, TargetObservation>], desired: Desired
    ) async -> [StepOutcome] {
        var outcomes: [StepOutcome] = []
        await server?.expect(Set(desired.specs(of: Self.self).keys))
        for step in steps {
            guard let server else {
                outcomes.append(.failed("targets are served by `sdagent run`"))
                continue
            }
            guard let spec = step.spec else {
                outcomes.append(Self.outcome(await server.remove(step.name)))
                continue
            }
            var places: [String: VolumePlace] = [:]
            for unit in spec.units.values { places[unit.volume] = VolumeKind.place(of: unit.volume, desired) }
            outcomes.append(Self.outcome(await server.serve(spec, places)))
        }
        return outcomes
    }

    private static func outcome(_ problems: [String]) -> StepOutcome {
        problems.isEmpty ? .done : .failed(problems.joined(separator: "; "))
    }
}
