import Foundation
import Manifest
import Testing

/// The JSON Schema that editors complete and check manifests with, held against the manifests that we ship.
@Suite("The manifest's JSON Schema")
struct SchemaTests {
    private static let configs: String = {
        let real = realpath(#filePath, nil)
        defer { free(real) }
        let path = real.map { String(cString: $0) } ?? #filePath
        return "/" + path.split(separator: "/").dropLast(3).joined(separator: "/") + "/configs"
    }()

    static let manifests: [String] = {
        let examples = (try? FileManager.default.contentsOfDirectory(atPath: configs + "/examples")) ?? []
        return ["quickstart.yaml"] + examples.filter { $0.hasSuffix(".yaml") }.sorted().map { "examples/" + $0 }
    }()

    private static let sections = [
        "switches", "addressSets", "groups", "routers", "pools", "images", "volumes", "targets", "vms", "mirrors",
    ]

    private func schema() throws -> Schema {
        let json = try #require(FileManager.default.contents(atPath: Self.configs + "/schema.json"))
        return try Schema(json: json)
    }

    /// The manifest as one mapping, as an editor sees it.
    private func document(_ sources: [Source]) -> (node: Node, mistakes: String) {
        let diagnostics = Diagnostics()
        let entries = ManifestLoader(sections: Self.sections).load(sources, diagnostics)
        let place = Position(file: "", line: 1, column: 1)
        let sections = Dictionary(grouping: entries, by: \.section).map { key, entries in
            Node.Entry(key: key, keyPosition: place, value: Node(.mapping(entries.map(\.entry)), at: place))
        }
        return (Node(.mapping(sections), at: place), diagnostics.isEmpty ? "" : diagnostics.render())
    }

    @Test func `there are manifests to check`() { #expect(Self.manifests.count > 5) }

    @Test(arguments: manifests)
    func `a shipped manifest fits the schema`(_ name: String) throws {
        let text = try String(contentsOfFile: Self.configs + "/" + name, encoding: .utf8)
        let (node, mistakes) = document([Source(file: name, directory: Self.configs, text: text)])
        #expect(mistakes == "", "\(mistakes)")
        #expect(try schema().complaints(node) == [])
    }

    @Test(arguments: [
        ("switches: { blue: { mtu: 10 } }", ".switches.blue.mtu: below 68"),
        ("switches: { blue: { mtu: big } }", ".switches.blue.mtu: string, not integer"),
        ("switches: { blue: { mut: 1500 } }", ".switches.blue: unknown field 'mut'"),
        ("switches: { -blue: {} }", ".switches.-blue: '-blue' does not fit"),
        ("routers: { gw: {} }", ".routers.gw: 'interfaces' is missing"),
        (
            "routers: { gw: { interfaces: { blue: { addresses: [10.10.0.1] } } } }",
            ".routers.gw.interfaces.blue.addresses[0]: '10.10.0.1' does not fit"
        ),
        (
            "routers: { gw: { interfaces: {}, forwards: { listen: 1.2.3.4, protocol: icmp, port: 0, to: 1.2.3.5 } } }",
            ".routers.gw.forwards.protocol: none of [\"tcp\", \"udp\"]"
        ),
        ("volumes: { a: { pool: fast, size: 20GB } }", ".volumes.a.size: '20GB' does not fit"),
        ("targets: { vm1: { portals: [], luns: {} } }", ".targets.vm1: 'vm1' does not fit"),
        ("targets: { iqn.a: { portals: [\"[::1:3260\"] } }", ".targets.iqn.a.portals[0]: '[::1:3260' does not fit"),
        ("targets: { iqn.a: { portals: [], luns: { 256: a } } }", ".targets.iqn.a.luns.256: '256' does not fit"),
        ("vms: { a: { nics: [ { adress: 10.0.0.1 } ] } }", ".vms.a.nics[0]: 'switch' is missing"),
    ])
    func `a mistake does not fit the schema`(text: String, expected: String) throws {
        let (node, mistakes) = document([Source(file: "a.yaml", directory: "/", text: text)])
        #expect(mistakes == "")
        let complaints = try schema().complaints(node)
        #expect(complaints.contains { $0.hasSuffix(expected) }, "\(complaints)")
    }
}
