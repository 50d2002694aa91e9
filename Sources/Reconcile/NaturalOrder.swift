/// `vm2` before `vm10`: runs of digits compare as numbers, so that plans read in the order a person counts.
func naturally(_ left: String, _ right: String) -> Bool {
    let (a, b) = (left.utf8.span, right.utf8.span)
    var (i, j) = (0, 0)
    while i < a.count, j < b.count {
        guard isDigit(a[i]), isDigit(b[j]) else {
            if a[i] != b[j] { return a[i] < b[j] }
            (i, j) = (i + 1, j + 1)
            continue
        }
        let (m, n) = (number(in: a, at: i), number(in: b, at: j))
        if m.count != n.count { return m.count < n.count }
        for (x, y) in zip(m, n) where a[x] != b[y] { return a[x] < b[y] }
        (i, j) = (m.upperBound, n.upperBound)
    }
    // Equal as far as the shorter goes, or equal but for leading zeros: any fixed order will do.
    let rest = (a.count - i, b.count - j)
    return rest.0 != rest.1 ? rest.0 < rest.1 : left < right
}

/// Where the digits that begin here lie, without zeros before them.
private func number(in bytes: Span<UInt8>, at start: Int) -> Range<Int> {
    var end = start
    while end < bytes.count, isDigit(bytes[end]) { end += 1 }
    var first = start
    while first < end, bytes[first] == UInt8(ascii: "0") { first += 1 }
    return first..<end
}

private func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }
