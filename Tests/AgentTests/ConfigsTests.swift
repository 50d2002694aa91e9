import ArgumentParser
import Foundation
import Manifest
import Reconcile
import SystemPackage
import Testing

@testable import sdagent

@Suite("What is shipped in configs")
struct ConfigsTests {
    /// The root of the package, from the place of this file.
    static let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().path

    static let manifests: [String] = {
        let examples = (try? FileManager.default.contentsOfDirectory(atPath: root + "/configs/examples")) ?? []
        return ["configs/quickstart.yaml"] + examples.sorted().map { "configs/examples/" + $0 }
    }()

    @Test("Every example is a manifest that the real kinds take", arguments: manifests)
    func example(_ path: String) throws {
        let kinds = Kinds.node(StateDirectory(path: "/var/lib/sdagent"))
        do throws(ManifestMistakes) {
            let loaded = try ManifestPaths(paths: [Self.root + "/" + path]).load(kinds)
            #expect(loaded.counts(kinds).map(\.count).reduce(0, +) > 0)
        } catch {
            Issue.record("\(error)")
        }
    }

    @Test("The folder of examples is not empty")
    func examples() { #expect(Self.manifests.count > 3) }

    @Test("An empty manifest is a manifest")
    func empty() throws {
        let kinds = Kinds.node(StateDirectory(path: "/var/lib/sdagent"))
        let loaded = try LoadedManifest.load([Source(file: "empty", directory: "/", text: "")], kinds)
        #expect(loaded.counts(kinds).isEmpty)
    }

    @Test("Every section of the schema is one that the real kinds take, and the other way round")
    func schema() throws {
        struct Schema: Decodable {
            struct Anything: Decodable {}
            let properties: [String: Anything]
        }
        let data = try Data(contentsOf: URL(fileURLWithPath: Self.root + "/configs/schema.json"))
        let schema = try JSONDecoder().decode(Schema.self, from: data)
        let sections = Kinds.node(StateDirectory(path: "/var/lib/sdagent")).sections.map(\.key)
        #expect(Set(schema.properties.keys) == Set(sections))
        #expect(Set(sections).count == sections.count)
    }

    @Test("configs/sdagent.service starts a command that this program has")
    func unit() throws {
        let text = try String(contentsOfFile: Self.root + "/configs/sdagent.service", encoding: .utf8)
        let start = try #require(text.split(separator: "\n").first { $0.hasPrefix("ExecStart=") })
        let words = start.split(separator: " ").dropFirst().map(String.init)
        #expect(try SDAgent.parseAsRoot(words) is RunCommand)
        // The daemon tells that it is ready; systemd must wait for it.
        #expect(text.contains("\nType=notify\n"))
    }

    @Test("Mistakes across sections are found: a disk without its volume, a volume of two VMs, an address twice")
    func mistakes() throws {
        let text = """
            switches: {blue: {}}
            routers: {gw: {interfaces: {blue: {addresses: [10.0.0.1/24]}}}}
            pools: {p: {}}
            volumes: {a: {pool: p, size: 1GiB}}
            vms:
              one: {disks: [a], nics: [{switch: blue, address: 10.0.0.1}]}
              two: {disks: [a]}
            """
        let kinds = Kinds.node(StateDirectory(path: "/var/lib/sdagent"))
        #expect {
            _ = try LoadedManifest.load([Source(file: "m.yaml", directory: "/", text: text)], kinds)
        } throws: { error in
            "\(error)".contains("'a' is a disk of vm 'one' already") && "\(error)".contains("10.0.0.1")
        }
        #expect {
            let text = "vms: {one: {disks: [gone]}}"
            _ = try LoadedManifest.load([Source(file: "m.yaml", directory: "/", text: text)], kinds)
        } throws: { error in
            "\(error)".contains("vm/one needs volume/gone, which the manifest does not have")
        }
    }
}
