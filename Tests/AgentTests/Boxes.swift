import Foundation
import Logging
import Manifest
import Reconcile
import Synchronization
import SystemPackage
import TestSupport

@testable import sdagent

/// A node of boxes in memory: a real kind with a real section, and faults on demand.
final class Boxes: Sendable {
    struct Contents {
        var values: [String: String] = [:]
        var refuses: Set<String> = []
        var performed = 0
    }
    let contents = Mutex(Contents())

    var kinds: Kinds { Kinds(all: [BoxKind(boxes: self)], sections: [BoxKind.section], derivations: []) }

    var values: [String: String] { contents.withLock { $0.values } }

    var performed: Int { contents.withLock { $0.performed } }
}

struct BoxKind: ResourceKind {
    static let name = "box"
    let boxes: Boxes

    static let section = Section("boxes") { entry, desired, diagnostics in
        var fields = Fields(entry.entry.value, of: "box '\(entry.name)'", diagnostics)
        let value = fields.string("value", required: true)
        fields.finish()
        if let value { desired.add(BoxKind.self, entry.name, value, at: entry.entry.keyPosition) }
    }

    func observe(_ desired: Desired) async throws -> [String: String] { boxes.values }

    func diff(name: String, spec: String?, observation: String?) -> Change {
        switch (spec, observation) {
        case (let spec?, nil): .create([FieldChange("value", to: spec)])
        case (let spec?, let seen?) where spec != seen: .update([FieldChange("value", from: seen, to: spec)])
        case (nil, .some): .delete
        default: .none
        }
    }

    func perform(_ steps: [Step<String, String>], desired: Desired) async -> [StepOutcome] {
        boxes.contents.withLock { contents in
            steps.map { step in
                if contents.refuses.contains(step.name) {
                    return .failed("the lid of '\(step.name)' is stuck; pry it open")
                }
                contents.values[step.name] = step.spec
                contents.performed += 1
                return .done
            }
        }
    }
}

/// A folder of a test's own with a manifest in it, gone when the test ends.
final class Workplace: Sendable {
    let folder: String

    init() throws {
        folder = try TemporaryDirectory.make()
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    var manifest: String { folder + "/node.yaml" }
    var socket: String { folder + "/sock" }
    var state: StateDirectory { StateDirectory(path: FilePath(folder + "/state")) }

    func write(_ text: String) throws { try text.write(toFile: manifest, atomically: true, encoding: .utf8) }

    /// An agent over boxes that follows the manifest here, or all of a folder.
    func agent(_ boxes: Boxes, following path: String? = nil) throws -> Agent {
        try state.prepare()
        return Agent(
            kinds: boxes.kinds, paths: ManifestPaths(paths: [path ?? manifest]), state: state,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    func request(_ text: String) -> ManifestRequest {
        ManifestRequest(files: [.init(file: "given.yaml", directory: folder, text: text)])
    }
}
