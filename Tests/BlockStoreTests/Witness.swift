import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import BlockStore

/// A directory for one test, removed with it.
final class Scratch: Sendable {
    let path: FilePath

    /// - Parameter parent: where it is made; tests of many small files take memory.
    init(in parent: String = "/var/tmp") throws {
        path = FilePath(try TemporaryDirectory.make(in: parent))
    }

    deinit { try? FileManager.default.removeItem(atPath: path.string) }

    func file(_ name: String) -> FilePath { path.appending(name) }
}

/// QEMU's tools, which know nothing of our code, as witnesses.
enum Witness {
    struct Outcome {
        var status: Int32
        var output: String
    }

    static let isHere = haveTools("qemu-img")

    @discardableResult
    static func run(_ tool: String, _ arguments: [String]) throws -> Outcome {
        let result = try commandHere([tool] + arguments, seconds: 300)
        return Outcome(status: result.code, output: result.output + result.error)
    }

    /// Runs a tool that must succeed.
    @discardableResult
    static func must(_ tool: String, _ arguments: String..., at location: SourceLocation = #_sourceLocation) throws
        -> String
    {
        let outcome = try run(tool, arguments)
        #expect(outcome.status == 0, "\(tool) \(arguments): \(outcome.output)", sourceLocation: location)
        return outcome.output
    }

    /// `qemu-img check` and our own find no error and, unless a crash is simulated, no leak.
    static func check(_ path: FilePath, mayLeak: Bool = false, at location: SourceLocation = #_sourceLocation) throws {
        let outcome = try run("qemu-img", ["check", "-f", "qcow2", path.string])
        let good: [Int32] = mayLeak ? [0, 3] : [0]
        #expect(good.contains(outcome.status), "\(outcome.output)", sourceLocation: location)
        let ours = try ImageCheck.run(ImageFile(path, .observe))
        #expect(ours.errorCount == 0, "\(ours.errors)", sourceLocation: location)
        if !mayLeak { #expect(ours.leaks == 0, sourceLocation: location) }
    }

    /// Runs qemu-io commands on an image.
    static func io(
        _ path: FilePath, format: String = "qcow2", _ commands: String...,
        at location: SourceLocation = #_sourceLocation
    ) throws {
        let outcome = try run("qemu-io", ["-f", format] + commands.flatMap { ["-c", $0] } + [path.string])
        let good = outcome.status == 0 && !outcome.output.contains("verification failed")
        #expect(good, "\(commands): \(outcome.output)", sourceLocation: location)
    }
}
