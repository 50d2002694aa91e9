internal import Netlink
internal import Reconcile

/// The routers' table in the words of the manifest, for plans: forwards, translations, paths.
struct NATFields {
    /// More lines than these are only counted.
    private static let limit = 12

    /// What the table is asked to do, one line each.
    private let lines: Set<String>

    init(_ table: NFTable?) {
        var lines: Set<String> = []
        for name in ["forward4", "forward6"] {
            for (key, data) in table?.sets[name]?.elements ?? [:] {
                guard let from = Self.listener(key), case .value(let value) = data else { continue }
                guard let to = Self.target(value) else { continue }
                lines.insert("forward \(from) to \(to)")
            }
        }
        for rule in table?.chains["postrouting"]?.rules ?? [] where !rule.comment.isEmpty { lines.insert(rule.comment) }
        self.lines = lines
    }

    /// The fields in which two tables differ. Where the words are equal, the rules behind them are not.
    static func compare(_ seen: NFTable?, _ wanted: NFTable?) -> [FieldChange] {
        let (old, new) = (NATFields(seen).lines, NATFields(wanted).lines)
        let fields =
            new.subtracting(old).sorted().map { FieldChange("translate", to: $0) }
            + old.subtracting(new).sorted().map { FieldChange("translate", from: $0) }
        if fields.isEmpty { return [seen == nil ? FieldChange("paths", to: paths(wanted)) : rules(seen, wanted)] }
        guard fields.count > limit else { return fields }
        return Array(fields.prefix(limit)) + [FieldChange("and \(fields.count - limit) more")]
    }

    private static func rules(_ seen: NFTable?, _ wanted: NFTable?) -> FieldChange {
        let isPaths = seen?.sets["paths"] != wanted?.sets["paths"]
        if isPaths { return FieldChange("paths", from: paths(seen), to: paths(wanted)) }
        let count = { (table: NFTable?) in "\(table?.sets["interfaces"]?.elements.count ?? 0)" }
        let isInterfaces = seen?.sets["interfaces"] != wanted?.sets["interfaces"]
        if isInterfaces { return FieldChange("interfaces", from: count(seen), to: count(wanted)) }
        return FieldChange("rules", from: "changed by another program", to: "as compiled")
    }

    private static func paths(_ table: NFTable?) -> String { "\(table?.sets["paths"]?.elements.count ?? 0)" }

    /// `tcp 203.0.113.2:8443` of a key: address, protocol, port, each padded to four bytes.
    private static func listener(_ key: NFKey) -> String? {
        let bytes = key.bytes
        guard bytes.count == 12 || bytes.count == 24 else { return nil }
        guard let address = IPAddress(bytes: bytes.dropLast(8)) else { return nil }
        let tail = bytes.suffix(8)
        let number = tail[tail.startIndex]
        let transport = PortForward.Transport.allCases.first { $0.number == number }?.rawValue ?? "protocol \(number)"
        return "\(transport) \(ForwardTarget.text(address, port(bytes.suffix(4))))"
    }

    private static func target(_ value: NFKey) -> String? {
        let bytes = value.bytes
        guard bytes.count == 8 || bytes.count == 20 else { return nil }
        return IPAddress(bytes: bytes.dropLast(4)).map { ForwardTarget.text($0, port(bytes.suffix(4))) }
    }

    private static func port(_ bytes: ArraySlice<UInt8>) -> UInt16 {
        bytes.prefix(2).reduce(0) { $0 << 8 | UInt16($1) }
    }
}
