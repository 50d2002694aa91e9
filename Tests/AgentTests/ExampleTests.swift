import ArgumentParser
import Foundation
import Manifest
import Reconcile
import SystemPackage
import Testing

@testable import sdagent

/// The manifests that we ship, read as the commands read them.
@Suite("Shipped manifests")
struct ExampleTests {
    /// Every file in `configs` and `configs/examples`, from the top of the tree.
    static let manifests = ["configs", "configs/examples"].flatMap { folder in
        let names = (try? FileManager.default.contentsOfDirectory(atPath: Shipped.path(folder))) ?? []
        return names.filter { $0.hasSuffix(".yaml") }.sorted().map { "\(folder)/\($0)" }
    }

    @Test func `the quick start and an example for each subject are there`() {
        #expect(Self.manifests.contains("configs/quickstart.yaml"))
        #expect(Self.manifests.count > 6)
    }

    @Test(arguments: manifests)
    func `a shipped manifest has no mistake`(_ name: String) throws {
        let manifest = try Shipped.load([Shipped.path(name)])
        #expect(!manifest.counts(Shipped.kinds).isEmpty)
    }

    @Test func `the quick start names what a first look should show`() throws {
        let manifest = try Shipped.load([Shipped.path("configs/quickstart.yaml")])
        let counts = manifest.counts(Shipped.kinds).map { "\($0.count) \($0.kind)" }
        #expect(Set(counts) == ["2 switch", "1 router", "1 pool", "2 volume", "1 target", "2 nic", "2 vm"])
    }

    /// What the README shows is what a reader gets: its manifest is right, and its plan names what that one asks for.
    @Test func `the manifest of the README makes the resources of its plan`() throws {
        let text = try String(contentsOfFile: Shipped.path("README.md"), encoding: .utf8)
        let blocks = text.split(separator: "```").map(String.init)
        let manifest = try #require(blocks.first { $0.hasPrefix("yaml\n") })
        let plan = try #require(blocks.first { $0.contains("Plan: ") })
        let source = Source(file: "README.md", directory: "/", text: String(manifest.dropFirst(5)))
        let desired = try Shipped.load([source]).desired
        let shown = plan.split(separator: "\n").filter { $0.hasPrefix("  + ") || $0.hasPrefix("  … ") }
            .compactMap { $0.dropFirst(4).split(separator: " ").first.map(String.init) }
        let asked = Shipped.kinds.all.flatMap { Shipped.ids(of: $0, desired) }.filter {
            // The fence has sides for the node itself only where rules cannot name bridges: most readers' can.
            !$0.hasPrefix("vm/") && $0 != "host-fence/inet" && $0 != "arp-fence/arp"
        }
        #expect(Set(shown) == Set(asked))
        #expect(plan.contains("Plan: \(shown.count - 1) to create; 1 waiting"))
    }

    @Test func `a folder of manifests is one manifest`() throws {
        let diagnostics = Diagnostics()
        let files = ManifestFiles(pipes: .refused, diagnostics: diagnostics)
        let sources = files.sources([Shipped.path("configs/examples")])
        #expect(diagnostics.isEmpty)
        let entries = ManifestLoader(sections: Shipped.kinds.sections.map(\.key)).load(sources, diagnostics)
        #expect(sources.count == Self.manifests.count - 1)
        // Each is a node of its own: they share names, and that is reported with both places.
        #expect(!entries.isEmpty)
        #expect(diagnostics.all.contains { $0.message.contains("is named twice") })
    }

    @Test func `the unit starts the daemon where its commands look for it`() throws {
        let unit = try String(contentsOfFile: Shipped.path("configs/sdagent.service"), encoding: .utf8)
        let lines = Set(unit.split(separator: "\n").map(String.init))
        #expect(lines.isSuperset(of: ["Type=notify", "RuntimeDirectory=sdagent", "StateDirectory=sdagent"]))
        let start = try #require(lines.first { $0.hasPrefix("ExecStart=") })
        let words = start.split(separator: " ").map(String.init)
        #expect(words.first?.hasSuffix("/sdagent") == true)
        let run = try #require(try SDAgent.parseAsRoot(Array(words.dropFirst())) as? RunCommand)
        #expect(run.node.files == ["/etc/sdagent"])
        #expect(run.node.socket == "/run/sdagent/sdagent.sock")
        #expect(run.node.state == "/var/lib/sdagent")
    }
}

/// Where the shipped files are, and the kinds that read them.
enum Shipped {
    static let kinds = Kinds.node(StateDirectory(path: "/var/lib/sdagent"))

    /// A path from the top of the tree; links to this file are followed.
    static func path(_ name: String) -> String {
        let real = realpath(#filePath, nil)
        defer { free(real) }
        let file = real.map { String(cString: $0) } ?? #filePath
        return "/" + file.split(separator: "/").dropLast(3).joined(separator: "/") + "/" + name
    }

    static func load(_ paths: [String]) throws -> LoadedManifest {
        try ManifestPaths(paths: paths).load(kinds)
    }

    static func load(_ sources: [Source]) throws -> LoadedManifest { try LoadedManifest.load(sources, kinds) }

    static func ids<Kind: ResourceKind>(of kind: Kind, _ desired: Desired) -> [String] {
        desired.specs(of: Kind.self).keys.map { Kind.id($0).description }
    }
}
