import Foundation
import Manifest
import Reconcile
import Testing
import TestSupport

@testable import sdagent

/// What an operator reads about a manifest with mistakes: each of `Mistakes/*.yaml` against the text beside it.
@Suite("Mistakes in a manifest")
struct MistakeTests {
    static let cases: [String] = {
        let names =
            (try? FileManager.default.contentsOfDirectory(atPath: Shipped.path("Tests/AgentTests/Mistakes"))) ?? []
        return names.filter { $0.hasSuffix(".yaml") }.map { String($0.dropLast(5)) }.sorted()
    }()

    private func report(_ text: String) -> String {
        let diagnostics = Diagnostics()
        let source = Source(file: "node.yaml", directory: "/etc/sdagent", text: text)
        let desired = Shipped.kinds.loader.load([source], diagnostics)
        #expect((desired == nil) == !diagnostics.isEmpty)
        return diagnostics.isEmpty ? "no mistakes\n" : diagnostics.render()
    }

    @Test func `there is a case for each section`() {
        #expect(Set(Self.cases).isSuperset(of: Shipped.kinds.sections.map(\.key)))
    }

    @Test(arguments: cases)
    func `mistakes are told with place and remedy`(_ name: String) throws {
        let text = try String(contentsOfFile: Shipped.path("Tests/AgentTests/Mistakes/\(name).yaml"), encoding: .utf8)
        let difference = try Golden.difference(report(text), from: "Mistakes/\(name).txt")
        #expect(difference == nil, "\(difference ?? "")")
    }

    /// Bytes changed, taken out and put in, anywhere in a whole manifest: it is read, or its mistakes are reported.
    @Test(arguments: 1...4)
    func `no manifest makes a reader trap`(_ seed: UInt64) throws {
        let samples = try ["router", "chap", "overlay"].map {
            try String(contentsOfFile: Shipped.path("configs/examples/\($0).yaml"), encoding: .utf8)
        }
        var generator = SeededGenerator(seed: seed)
        for turn in 0..<150 {
            var bytes = Array((turn % 3 == 0 ? samples[2] : samples[0] + samples[1]).utf8)
            for _ in 0...Int.random(in: 0...8, using: &generator) {
                let at = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0...2, using: &generator) {
                case 0: bytes[at] = UInt8.random(in: 0x20...0x7e, using: &generator)
                case 1: bytes.removeSubrange(at..<min(bytes.count, at + Int.random(in: 1...20, using: &generator)))
                default: bytes.insert("0123456789{}[]:,/-.\n \"".utf8.randomElement(using: &generator) ?? 0, at: at)
                }
            }
            let text = report(String(decoding: bytes, as: UTF8.self))
            #expect(text == "no mistakes\n" || text.contains("error:"))
        }
    }
}
