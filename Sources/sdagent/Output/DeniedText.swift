/// Refused packets as a person reads them: one line for each NIC.
struct DeniedText: Sendable {
    /// Whether NICs of which nothing was refused are shown too.
    let showsAll: Bool

    func render(_ denied: DeniedDocument) -> String {
        let shown = denied.nics.filter { showsAll || $0.isDenied }
        guard !shown.isEmpty else { return "Nothing was denied to any of \(denied.nics.count) NICs.\n" }
        let rows =
            [["NIC", "GUARD", "EGRESS", "INGRESS"]]
            + shown.map { [$0.nic, "\($0.guard.packets)", "\($0.egress.packets)", "\($0.ingress.packets)"] }
        let widths = (0..<4).map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            (0..<4).map { column in
                let space = String(repeating: " ", count: widths[column] - row[column].count)
                return column == 0 ? row[column] + space : space + row[column]
            }.joined(separator: "  ") + "\n"
        }.joined()
    }
}
