internal import ISCSI
internal import Manifest
public import Reconcile
internal import Syscall

extension TargetKind {
    /// The port where iSCSI listens (RFC 7143 section 13).
    static let defaultPort: UInt16 = 3260
    /// LUNs that one target has: what peripheral addressing names.
    private static let lunLimit = 255

    /// `targets` of the manifest.
    public static var section: Section {
        Section("targets") { entry, desired, diagnostics in
            let subject = "target '\(entry.name)'"
            guard ISCSIName.isValid(entry.name) else {
                diagnostics.report(
                    at: entry.entry, "'\(entry.name)' is not an iSCSI name",
                    hint: "such as iqn.2026-11.org.example:vm1; also eui.… and naa.…")
                return
            }
            var fields = Fields(entry.entry.value, of: subject, diagnostics)
            let portals = fields.list("portals", required: true) { portal($0, $1) }
            var references: [Reference] = []
            let units = fields.map("luns") { unit($0, $1, subject, &references) }
            let access = access(fields.fields("access"), diagnostics)
            fields.finish()
            checkUnits(units, subject, diagnostics)
            // Names are compared without regard to case (RFC 3722), and the loader has compared them with.
            let name = entry.name.lowercased()
            if desired.specs(of: TargetKind.self)[name] != nil {
                let first = desired.position(of: id(name)).map { "; the first one is at \($0.file):\($0.line)" } ?? ""
                diagnostics.report(
                    at: entry.entry, "'\(entry.name)' is named twice in 'targets'",
                    hint: "iSCSI names that differ only in case are one name" + first)
                return
            }
            let spec = TargetSpec(
                name: name, portals: unique(portals),
                units: Dictionary(units.map { ($0.number, $0.unit) }) { first, _ in first }, access: access)
            desired.add(
                TargetKind.self, spec.name, spec, references: references, at: entry.entry.keyPosition)
        }
    }

    private static func unique(_ portals: [SocketAddress]) -> [SocketAddress] {
        var seen: Set<SocketAddress> = []
        return portals.filter { seen.insert($0).inserted }
    }

    /// `192.0.2.1`, `192.0.2.1:3260`, `2001:db8::1` or `[2001:db8::1]:3260`.
    private static func portal(_ node: Node, _ diagnostics: Diagnostics) -> SocketAddress? {
        guard let text = node.string(as: "a portal", diagnostics) else { return nil }
        if let address = address(text) { return address }
        diagnostics.report(
            at: node, "'\(text.prefix(60))' is not a portal",
            hint: "a numeric address with or without a port: 192.0.2.1:3260 or [2001:db8::1]:3260")
        return nil
    }

    static func address(_ text: String) -> SocketAddress? {
        if let address = SocketAddress(host: text, port: defaultPort) { return address }
        var host = text[...]
        var port = defaultPort
        if let colon = text.lastIndex(of: ":"), !text.hasSuffix("]") {
            guard let number = UInt16(text[text.index(after: colon)...]), number > 0 else { return nil }
            port = number
            host = text[..<colon]
        }
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
            guard host.contains(":") else { return nil }
        } else if host.contains(":") {
            return nil
        }
        return SocketAddress(host: String(host), port: port)
    }

    private typealias NumberedUnit = (number: UInt16, unit: TargetSpec.Unit, entry: Node.Entry)

    /// `0: VOLUME` or `0: { volume: VOLUME, readOnly: true }`.
    private static func unit(
        _ entry: Node.Entry, _ diagnostics: Diagnostics, _ subject: String, _ references: inout [Reference]
    ) -> NumberedUnit? {
        guard let number = UInt16(entry.key), number <= lunLimit, String(number) == entry.key else {
            diagnostics.report(at: entry, "'\(entry.key)' is not a LUN", hint: "a number from 0 to \(lunLimit)")
            return nil
        }
        let what = "LUN \(number) of \(subject)"
        if case .mapping = entry.value.content {
            var fields = Fields(entry.value, of: what, diagnostics)
            let volume = fields.reference("volume", required: true)
            let isReadOnly = fields.bool("readOnly") ?? false
            fields.finish()
            guard let volume else { return nil }
            references.append(Reference(VolumeKind.id(volume.name), at: volume.position, isVital: false))
            return (number, TargetSpec.Unit(volume: volume.name, isReadOnly: isReadOnly), entry)
        }
        guard let volume = entry.value.string(as: what, diagnostics) else { return nil }
        references.append(Reference(VolumeKind.id(volume), at: entry.value.position, isVital: false))
        return (number, TargetSpec.Unit(volume: volume, isReadOnly: false), entry)
    }

    private static func checkUnits(_ units: [NumberedUnit], _ subject: String, _ diagnostics: Diagnostics) {
        var known: [String: UInt16] = [:]
        for unit in units {
            if let first = known[unit.unit.volume] {
                diagnostics.report(
                    at: unit.entry.value,
                    "the volume '\(unit.unit.volume)' is LUN \(first) and LUN \(unit.number) of \(subject)",
                    hint: "one LUN for each volume: an initiator would take the two for paths to one disk")
            }
            known[unit.unit.volume] = unit.number
        }
    }

    /// Reports a volume that two targets would let be written: each of them has reservations, and an order of writes,
    /// of its own, and keeps its initiators from each other's only.
    public static var derivation: Derivation {
        Derivation(of: [name, VolumeKind.name]) { desired, diagnostics in
            var writers: [String: String] = [:]
            for (name, spec) in desired.specs(of: Self.self).sorted(by: { $0.key < $1.key }) {
                let writable = Set(spec.units.values.filter { !$0.isReadOnly }.map(\.volume))
                for volume in writable.sorted() {
                    guard let first = writers.updateValue(name, forKey: volume) else { continue }
                    let reference = desired.references(of: id(name)).first { $0.target == VolumeKind.id(volume) }
                    guard let position = reference?.position ?? desired.position(of: id(name)) else { continue }
                    diagnostics.report(
                        at: position, width: volume.count,
                        "the volume '\(volume)' can be written through target '\(first)' already",
                        hint: "let all its initiators into one target, or make it read-only here: "
                            + "{ volume: \(volume), readOnly: true }")
                }
            }
        }
    }

    private static func access(_ fields: Fields?, _ diagnostics: Diagnostics) -> TargetSpec.Access {
        var access = TargetSpec.Access()
        guard var fields else { return access }
        let initiators = fields.list("initiators") { node, diagnostics -> String? in
            guard let text = node.string(as: "an initiator", diagnostics) else { return nil }
            // A pattern is a name when its stars are taken for text.
            guard text == "*" || ISCSIName.isValid(text.replacing("*", with: "a")) else {
                diagnostics.report(
                    at: node, "'\(text.prefix(80))' is not an initiator's name",
                    hint: "such as iqn.1993-08.org.debian:01:vm1, or with * for any text")
                return nil
            }
            return text.lowercased()
        }
        // A list that names nobody admits nobody.
        if fields.has("initiators") { access.initiators = initiators }
        access.chap = secret(fields.fields("chap"))
        let mutual = fields.node("mutual")
        access.mutual = mutual.flatMap { secret(Fields($0, of: "'mutual' of \(fields.subject)", diagnostics)) }
        if let mutual, access.chap == nil {
            diagnostics.report(
                at: mutual, "'mutual' needs 'chap': a target proves itself only to initiators that do",
                hint: "add 'chap: { user: …, secretFile: … }'")
        }
        if let chap = access.chap, let mutual, chap.file == access.mutual?.file {
            // RFC 7143 section 9.2.1: a secret of one direction must not serve the other.
            diagnostics.report(at: mutual, "'chap' and 'mutual' have the same secret file", hint: "use two secrets")
        }
        fields.finish()
        return access
    }

    private static func secret(_ fields: Fields?) -> TargetSpec.Secret? {
        guard var fields else { return nil }
        let user = fields.string("user", required: true)
        let file = fields.string("secretFile", required: true)
        if let node = fields.node("secretFile"), let file, !file.hasPrefix("/") {
            fields.diagnostics.report(at: node, "the secret file must be an absolute path, not '\(file.prefix(80))'")
        }
        fields.finish()
        guard let user, let file else { return nil }
        return TargetSpec.Secret(user: user, file: file)
    }
}
