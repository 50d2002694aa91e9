import Foundation
import Manifest
import TestSupport
import Testing

@testable import sdagent

@Suite("The manifest's files", .timeLimit(.minutes(3)))
struct ManifestFilesTests {
    /// What is read, and what a person is told, with the test's folder left out.
    private func read(
        _ names: [String], in place: Workplace, _ pipes: ManifestFiles.Pipes
    ) -> (sources: [Source], said: String) {
        let diagnostics = Diagnostics()
        let files = ManifestFiles(pipes: pipes, diagnostics: diagnostics)
        let sources = files.sources(names.map { $0.isEmpty ? place.folder : place.folder + "/" + $0 })
        let said = diagnostics.isEmpty ? "" : diagnostics.render()
        return (sources, said.replacing(place.folder, with: "DIR"))
    }

    @Test("A folder stands for its manifests in order, with the folder of each file itself")
    func folder() throws {
        let place = try Workplace()
        for name in ["b.yml", "a.yaml", ".hidden.yaml", "c.txt"] {
            try name.write(toFile: place.folder + "/" + name, atomically: true, encoding: .utf8)
        }
        let store = try Workplace()
        try store.write("linked")
        try FileManager.default.createSymbolicLink(
            atPath: place.folder + "/link.yaml", withDestinationPath: store.manifest)
        let (sources, said) = read([""], in: place, .refused)
        #expect(said == "")
        #expect(sources.map(\.text) == ["a.yaml", "b.yml", "linked"])
        let resolved = try #require(realpath(store.folder, nil))
        defer { free(resolved) }
        #expect(sources.last?.directory == String(cString: resolved))
    }

    @Test("A FIFO among the manifests is a mistake, and nobody waits for its writer", arguments: [true, false])
    func pipeInFolder(isCommand: Bool) async throws {
        let place = try Workplace()
        try place.write("boxes: {a: {value: x}}")
        let boxes = Boxes()
        let agent = try place.agent(boxes, following: place.folder)
        #expect(await agent.reload())
        _ = try await agent.reconcile()

        #expect(mkfifo(place.folder + "/pipe.yaml", 0o600) == 0)
        try FileManager.default.createDirectory(atPath: place.folder + "/sub.yaml", withIntermediateDirectories: false)
        let said = read([""], in: place, isCommand ? .waitedFor : .refused).said
        #expect(
            said == """
                DIR/pipe.yaml: error: is not a regular file
                  put the manifest into a file, or take this one away
                DIR/sub.yaml: error: is not a regular file
                  put the manifest into a file, or take this one away
                2 mistakes; nothing has been changed.

                """)
        #expect(await agent.reload() == false)
        _ = try await agent.reconcile()
        #expect(boxes.values == ["a": "x"])
    }

    @Test("A command reads a pipe that is named to its end, wherever its writer tarries; the daemon does not")
    func namedPipe() async throws {
        let place = try Workplace()
        #expect(mkfifo(place.folder + "/pipe", 0o600) == 0)
        #expect(read(["pipe"], in: place, .refused).said.hasPrefix("DIR/pipe: error: is not a regular file\n"))
        let script = "sleep 0.3; exec >\(place.folder)/pipe; printf 'switches: '; sleep 0.3; printf '{}'"
        async let written = output(of: ["sh", "-c", script], seconds: 20)
        let (sources, said) = read(["pipe"], in: place, .waitedFor)
        #expect(said == "")
        #expect(sources.map(\.text) == ["switches: {}"])
        #expect(sources.map(\.directory) == [FileManager.default.currentDirectoryPath])
        _ = try await written
    }

    @Test("What cannot be read is told with its place")
    func unreadable() throws {
        let place = try Workplace()
        try Data("a: b\nc: \u{e9}\n".unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) })
            .write(to: URL(fileURLWithPath: place.folder + "/latin.yaml"))
        let large = String(repeating: "#\n", count: Source.byteLimit / 2 + 10)
        try large.write(toFile: place.folder + "/large.yaml", atomically: true, encoding: .utf8)
        try FileManager.default.createDirectory(atPath: place.folder + "/empty", withIntermediateDirectories: false)
        let (sources, said) = read(["latin.yaml", "large.yaml", "empty", "none.yaml"], in: place, .refused)
        // It is read as far as it takes to know that it is too large.
        #expect(sources.map(\.text.utf8.count) == [Source.byteLimit + 1])
        #expect(
            said == """
                DIR/empty: error: the folder holds no manifest
                  manifests are files named *.yaml or *.yml
                DIR/latin.yaml:2:1: error: the line is not UTF-8 text
                  save it as UTF-8
                DIR/none.yaml: error: cannot be read: No such file or directory
                  name a manifest with -f FILE or -f DIR
                3 mistakes; nothing has been changed.

                """)
    }
}
