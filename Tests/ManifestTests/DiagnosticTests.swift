import Manifest
import TestSupport
import Testing

/// Reads one manifest through a small schema that uses every reader, and gives what a person would see.
private func read(_ text: String) -> (names: [String], output: String) {
    let diagnostics = Diagnostics()
    let source = Source(file: "node.yaml", directory: "/etc/sdagent", text: text)
    let entries = ManifestLoader(sections: ["switches", "volumes"]).load([source], diagnostics)
    for entry in entries where ResourceName.check(entry.entry, of: "resource", diagnostics) {
        var fields = Fields(entry.entry.value, of: "volume '\(entry.name)'", diagnostics)
        _ = fields.bytes("size", in: 512...(1 << 50), required: entry.section == "volumes")
        _ = fields.int("mtu", in: 68...65_535)
        _ = fields.bool("readOnly")
        _ = fields.rate("rate")
        _ = fields.choice("format", Format.self)
        _ = fields.list("addresses") { $0.string(as: "an address", $1) }
        _ = fields.value("weight", Double.self, expecting: "a number such as 1.5")
        if var nested = fields.fields("limits") {
            _ = nested.int("iops", in: 1...1_000_000)
            nested.finish()
        }
        fields.finish()
    }
    return (entries.map(\.name), diagnostics.isEmpty ? "" : diagnostics.render())
}

private enum Format: String, CaseIterable { case qcow2, raw }

@Suite("Manifest diagnostics")
struct DiagnosticTests {
    @Test func `a right manifest has none`() {
        let result = read(
            """
            switches:
              blue: { mtu: 1450 }
              red:
            volumes:
              a: { size: 20GiB, format: raw, readOnly: true, rate: 100Mbit, addresses: [10.0.0.1, "fd00::1"] }
            """)
        #expect(result.output == "")
        #expect(result.names == ["blue", "red", "a"])
    }

    @Test func `an empty manifest is right`() {
        for text in ["", "---\n", "# nothing\n", "switches:\n", "switches: {}\n"] { #expect(read(text).output == "") }
    }

    @Test func `all mistakes come at once, each with its place, a caret and a remedy`() {
        let result = read(
            """
            volums:
              x: {}
            switches:
              blue: { mtu: 10, adresses: [] }
            volumes:
              a:
                size: 20GB
                readOnly: yes
                format: qcow
                limits: { iop: 1 }
              b: { mtu: 0100, weight: heavy, addresses: [[1]] }
            """)
        #expect(
            result.output == """
                node.yaml:1:1: error: unknown section 'volums'
                  1 | volums:
                    | ^~~~~~ did you mean 'volumes'?
                node.yaml:4:16: error: 'mtu' of volume 'blue' must be 68 to 65535, not 10
                  4 |   blue: { mtu: 10, adresses: [] }
                    |                ^~
                node.yaml:4:20: error: unknown field 'adresses' in volume 'blue'
                  4 |   blue: { mtu: 10, adresses: [] }
                    |                    ^~~~~~~~ did you mean 'addresses'?
                node.yaml:7:11: error: 'size' of volume 'a' is not a size: '20GB'
                  7 |     size: 20GB
                    |           ^~~~ a whole number with B, KiB, MiB, GiB, TiB or PiB, such as 20GiB
                node.yaml:8:15: error: 'readOnly' of volume 'a' must be true or false, not 'yes'
                  8 |     readOnly: yes
                    |               ^~~ write true
                node.yaml:9:13: error: 'format' of volume 'a' cannot be 'qcow'
                  9 |     format: qcow
                    |             ^~~~ did you mean 'qcow2'?
                node.yaml:10:15: error: unknown field 'iop' in 'limits' of volume 'a'
                  10 |     limits: { iop: 1 }
                     |               ^~~ did you mean 'iops'?
                node.yaml:11:6: error: volume 'b' needs 'size'
                  11 |   b: { mtu: 0100, weight: heavy, addresses: [[1]] }
                     |      ^ add 'size: …'
                node.yaml:11:13: error: 'mtu' of volume 'b' must be a whole number, not '0100'
                  11 |   b: { mtu: 0100, weight: heavy, addresses: [[1]] }
                     |             ^~~~
                node.yaml:11:27: error: 'weight' of volume 'b' is not a number such as 1.5: 'heavy'
                  11 |   b: { mtu: 0100, weight: heavy, addresses: [[1]] }
                     |                           ^~~~~
                node.yaml:11:46: error: an address must be a text, not a list
                  11 |   b: { mtu: 0100, weight: heavy, addresses: [[1]] }
                     |                                              ^
                11 mistakes; nothing has been changed.

                """)
    }

    @Test(arguments: ["\n", "\r\n", "\r"])
    func `a mistake is shown with its line, however lines end`(ending: String) {
        let lines = ["switches:", "  red: {}", "  blue: { mtu: 10 }", ""]
        #expect(
            read(lines.joined(separator: ending)).output == """
                node.yaml:3:16: error: 'mtu' of volume 'blue' must be 68 to 65535, not 10
                  3 |   blue: { mtu: 10 }
                    |                ^~
                1 mistake; nothing has been changed.

                """)
    }

    @Test func `a name given twice names both places`() {
        #expect(
            read("switches:\n  blue: {}\n  blue: {}\n").output == """
                node.yaml:3:3: error: 'blue' stands twice in one mapping
                  3 |   blue: {}
                    |   ^~~~ the first one is in line 2
                1 mistake; nothing has been changed.

                """)
        #expect(
            read("switches: { blue: {} }\n---\nswitches: { blue: {} }\n").output.contains(
                "is named twice in 'switches'"))
    }

    @Test(arguments: [
        ("switches:\n\tblue: {}\n", "indent with spaces, not tabs"),
        ("switches:\n  a: \"x\n", "close the quote"),
        ("switches: { a: {}\n", "close the bracket"),
        ("switches:\n  a: b: c\n", "quote a value that holds ': '"),
        ("- a\n", "a manifest is a mapping of sections, not a list"),
        ("switches: [a]\n", "must be a mapping of names, not a list"),
        ("switches: { a: &x {}, b: *x }\n", "anchors and aliases"),
        ("switches: { ? [a] : b }\n", "cannot be a key"),
        ("switches: { \"../etc\": {} }\n", "cannot name a resource"),
        ("switches: \u{1}\n", "control characters are not allowed"),
    ])
    func `broken text is reported with a remedy`(text: String, expected: String) {
        #expect(read(text).output.contains(expected), "\(read(text).output.prefix(300))")
    }

    @Test func `a tag is no type here, and is not passed over in silence`() {
        let result = read("switches: !!python/object:os.system { a: { mtu: !!int 1500, addresses: ! [ !x b ] } }\n")
            .output
        #expect(result.contains("4 mistakes;"), "\(result)")
        #expect(
            result.hasPrefix(
                """
                node.yaml:1:11: error: tags ('!') are not taken
                  1 | switches: !!python/object:os.system { a: { mtu: !!int 1500, addresses: ! [ !x b ] } }
                    |           ^ leave it out; quote a text that begins with '!'
                node.yaml:1:49: error: tags

                """.dropLast()), "\(result)")
        #expect(read("switches: { \"!a\": {}, b: { addresses: [ '!x' ] } }\n").output.contains("1 mistake;"))
        #expect(read("switches: &all { a: {} }\n").output.contains("1:11: error: anchors and aliases"))
    }

    @Test func `what would steer a terminal is shown as an escape, with the caret under its character`() {
        let result = read("switches: {\"\\e[31mred\": {}}\nvolums\u{202e}: {}\n").output
        #expect(!result.unicodeScalars.contains { $0 == "\u{1b}" || $0 == "\u{202e}" })
        #expect(result.contains("'\\u001b[31mred' cannot name a resource"))
        #expect(result.contains("  2 | volums\\u202e: {}\n    | ^~~~~~~~~~~~ "), "\(result)")
        #expect(
            read("switches:\n  \u{202a}a\u{202c}: {}\n  \tb: [\u{7}]\n").output == """
                node.yaml:3:8: error: control characters are not allowed
                  3 |   \tb: [\\u0007]
                    |   \t    ^~~~~~ take it out
                1 mistake; nothing has been changed.

                """)
    }

    @Test(arguments: ["[", "{a: ", "- ", "? "])
    func `values that stand too deep in each other are refused`(opening: String) {
        for count in [65, 900, 100_000] {
            #expect(read("a: " + String(repeating: opening, count: count)).output.contains("error:"))
            let deep = read("switches: { a: " + String(repeating: "[", count: count)).output
            #expect(deep.contains("more than 64 deep"), "\(deep.suffix(300))")
        }
    }

    @Test func `no bytes make the reader trap`() {
        var random = SeededGenerator(seed: 20_261_124)
        let sample = Array(
            "switches:\n  a: { mtu: 1500, addresses: [10.0.0.1] }\nvolumes:\n  b:\n    size: 1GiB\n".utf8)
        for _ in 0..<20_000 {
            var bytes = sample
            for _ in 0...Int(random.next() % 6) {
                let at = Int(random.next() % UInt64(bytes.count))
                switch random.next() % 3 {
                case 0: bytes[at] = UInt8(truncatingIfNeeded: random.next())
                case 1: bytes.remove(at: at)
                default: bytes.insert("{}[]:,&*\n\t '\"|>-#%@!".utf8.randomElement(using: &random) ?? 0, at: at)
                }
            }
            _ = read(String(decoding: bytes, as: UTF8.self))
        }
    }
}
