/// Refused packets as a person reads them: one line for each NIC.
struct DeniedText: Sendable {
    /// - Parameters:
    ///   - shown: the NICs to be shown.
    ///   - count: how many the manifest has.
    func render(_ shown: [DeniedNIC], of count: Int) -> String {
        guard !shown.isEmpty else { return "Nothing was denied to any of \(count) NICs.\n" }
        let rows = [["NIC", "PACKETS", "WHY"]] + shown.map { [$0.nic, "\($0.packets)", Self.words($0.reasons)] }
        let widths = (0..<2).map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            let name = row[0] + String(repeating: " ", count: widths[0] - row[0].count)
            let number = String(repeating: " ", count: widths[1] - row[1].count) + row[1]
            return [name, number, row[2]].filter { !$0.isEmpty }.joined(separator: "  ") + "\n"
        }.joined()
    }

    private static func words(_ reasons: [DeniedNIC.Reason]) -> String {
        reasons.map { "\($0.reason) \($0.packets)" }.joined(separator: ", ")
    }
}
