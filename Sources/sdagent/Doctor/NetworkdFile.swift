import Glibc

/// A .network file of systemd-networkd: which links it takes, and whether it leaves them alone (systemd.network(5)).
struct NetworkdFile {
    /// What a link of ours is to it.
    enum Link: Hashable {
        case bridge(String)
        /// A port of the machine.
        case port(String)
    }

    let path: String
    /// Of the section [Match], by key: a value that begins with `!` turns all of it round.
    private var match: [String: [String]] = [:]
    private(set) var isUnmanaged = false

    /// What a file asks of the hardware: a bridge has none, and of a port the doctor knows no more than its name.
    private static let hardware: Set<String> = [
        "MACAddress", "PermanentMACAddress", "Path", "Driver", "Property", "WLANInterfaceType", "SSID", "BSSID",
    ]

    init(_ path: String, _ text: String) {
        self.path = path
        var section = ""
        for line in text.split(whereSeparator: \.isNewline) {
            let line = line.drop { $0 == " " || $0 == "\t" }
            if line.hasPrefix("[") { section = String(line.dropFirst().prefix { $0 != "]" }) }
            guard let equals = line.firstIndex(of: "="), !line.hasPrefix("#"), !line.hasPrefix(";") else { continue }
            let key = String(line[..<equals].filter { $0 != " " })
            let values = line[line.index(after: equals)...].split { $0 == " " || $0 == "\t" }.map(String.init)
            switch (section, key) {
            // An empty value takes back what was said before.
            case ("Match", _): match[key] = values.isEmpty ? nil : (match[key] ?? []) + values
            case ("Link", "Unmanaged"):
                isUnmanaged = values.first.map { ["yes", "true", "on", "1"].contains($0.lowercased()) } ?? false
            default: break
            }
        }
    }

    func takes(_ link: Link) -> Bool {
        guard !match.isEmpty else { return false }
        let (name, type, kind) =
            switch link {
            case .bridge(let name): (name, "bridge", "bridge")
            case .port(let name): (name, "ether", "")
            }
        if !match.keys.allSatisfy({ !Self.hardware.contains($0) }) {
            guard case .port = link, match["Name"] != nil else { return false }
        }
        return holds("Name", name) && holds("Type", type) && holds("Kind", kind)
    }

    /// Whether a condition holds, if there is one.
    private func holds(_ key: String, _ word: String) -> Bool {
        guard var patterns = match[key], let first = patterns.first else { return true }
        let isInverted = first.hasPrefix("!")
        if isInverted { patterns[0] = String(first.dropFirst()) }
        return patterns.contains { fnmatch($0, word, 0) == 0 } != isInverted
    }
}
