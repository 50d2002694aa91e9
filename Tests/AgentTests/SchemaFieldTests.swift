import Foundation
import Manifest
import Reconcile
import Testing

@testable import sdagent

/// The JSON Schema names exactly the fields that the readers take: each reader is given a field that nobody knows, and
/// its answer lists those it asked for.
@Suite("Fields of the manifest's JSON Schema")
struct SchemaFieldTests {
    /// A manifest that holds nothing but one unknown field in one place, and the definition of that place.
    static let places: [(definition: String, text: String)] = [
        ("switch", "switches: { a: { § } }"), ("overlay", "switches: { a: { overlay: { § } } }"),
        ("peer", "switches: { a: { overlay: { vni: 1, local: 192.0.2.1, peers: [ { § } ] } } }"),
        (
            "host",
            "switches: { a: { overlay: { vni: 1, local: 192.0.2.1, peers: { address: 192.0.2.2, hosts: { § } } } } }"
        ),
        ("group", "groups: { a: { § } }"), ("ingress", "groups: { a: { ingress: [ { § } ] } }"),
        ("egress", "groups: { a: { egress: [ { § } ] } }"),
        ("member", "groups: { a: { ingress: [ { protocol: any, from: { § } } ] } }"),
        ("router", "routers: { a: { § } }"),
        ("route", "routers: { a: { interfaces: {}, routes: [ { § } ] } }"),
        ("snat", "routers: { a: { interfaces: {}, snat: [ { § } ] } }"),
        ("forward", "routers: { a: { interfaces: {}, forwards: [ { § } ] } }"),
        ("pool", "pools: { a: { § } }"),
        ("image", "images: { a: { § } }"),
        ("volume", "volumes: { a: { § } }"),
        ("target", "targets: { iqn.2026-11.org.example:a: { § } }"),
        ("lun", "targets: { iqn.2026-11.org.example:a: { portals: [], luns: { 0: { § } } } }"),
        ("access", "targets: { iqn.2026-11.org.example:a: { portals: [], access: { § } } }"),
        ("credential", "targets: { iqn.2026-11.org.example:a: { portals: [], access: { chap: { § } } } }"),
        ("vm", "vms: { a: { § } }"),
        ("nic", "vms: { a: { nics: [ { § } ] } }"),
        ("uplink", "switches: { a: { uplinks: [ { § } ] } }"),
        ("mirror", "mirrors: { a: { § } }"),
        ("rate", "vms: { a: { nics: [ { switch: b, rate: { § } } ] } }"),
        ("cap", "vms: { a: { nics: [ { switch: b, rate: { ingress: { § } } } ] } }"),
    ]

    private func schema() throws -> [String: Any] {
        let json = try #require(FileManager.default.contents(atPath: Shipped.path("configs/schema.json")))
        return try #require(try JSONSerialization.jsonObject(with: json) as? [String: Any])
    }

    private func mistakes(_ text: String) -> [Diagnostic] {
        let diagnostics = Diagnostics()
        _ = Shipped.kinds.loader.load([Source(file: "node.yaml", directory: "/", text: text)], diagnostics)
        return diagnostics.all
    }

    @Test func `the schema's sections are those that are read`() throws {
        let properties = try #require(try schema()["properties"] as? [String: Any])
        #expect(Set(properties.keys) == Set(Shipped.kinds.sections.map(\.key)))
    }

    @Test(arguments: places.indices)
    func `the schema's fields are those that are read`(_ index: Int) throws {
        let place = Self.places[index]
        let definitions = try #require(try schema()["$defs"] as? [String: [String: Any]])
        let definition = try #require(definitions[place.definition])
        let properties = try #require(definition["properties"] as? [String: Any])
        let found = mistakes(place.text.replacing("§", with: "zzzzzzzzz: 1"))
        let unknown = try #require(found.first { $0.message.hasPrefix("unknown field 'zzzzzzzzz'") })
        let known = unknown.hint.trimmingPrefix("one of: ").split(separator: ", ").map(String.init)
        #expect(Set(known) == Set(properties.keys), "\(place.definition)")
        let missing = found.compactMap { mistake -> String? in
            guard let key = mistake.message.firstRange(of: " needs '") else { return nil }
            return String(mistake.message[key.upperBound...].prefix { $0 != "'" })
        }
        #expect(Set(missing) == Set(definition["required"] as? [String] ?? []), "\(place.definition)")
    }
}
