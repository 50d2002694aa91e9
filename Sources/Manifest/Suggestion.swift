/// Finds what an operator probably meant.
enum Suggestion {
    /// The allowed word nearest to `word`, if it is near: at most a third of its letters differ.
    static func nearest(to word: String, in allowed: some Sequence<String>) -> String? {
        // A word of one letter that differs in one letter is another word.
        let limit = word.count > 1 ? max(1, word.count / 3) : 0
        return allowed.map { (word: $0, distance: distance(word, $0)) }
            .filter { $0.distance <= limit }
            .min { ($0.distance, $0.word) < ($1.distance, $1.word) }?.word
    }

    /// "did you mean 'x'?", or the allowed words where none is near.
    static func hint(for word: String, in allowed: [String]) -> String {
        if let near = nearest(to: word, in: allowed) { return "did you mean '\(near)'?" }
        guard !allowed.isEmpty else { return "" }
        return "one of: " + Set(allowed).sorted().joined(separator: ", ")
    }

    /// Edit distance with transpositions (optimal string alignment).
    static func distance(_ left: String, _ right: String) -> Int {
        let a = Array(left.lowercased().unicodeScalars.prefix(64))
        let b = Array(right.lowercased().unicodeScalars.prefix(64))
        if a.isEmpty || b.isEmpty { return max(a.count, b.count) }
        var before: [Int] = []
        var above = Array(0...b.count)
        for i in 1...a.count {
            var row = [i] + Array(repeating: 0, count: b.count)
            for j in 1...b.count {
                let cost = a[i - 1] == b[j - 1] ? 0 : 1
                row[j] = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + cost)
                if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] { row[j] = min(row[j], before[j - 2] + 1) }
            }
            before = above
            above = row
        }
        return above[b.count]
    }
}

extension Fields {
    /// "did you mean 'x'?" for a word that is none of `allowed`; the allowed ones where none is near.
    public static func suggestion(for word: String, in allowed: [String]) -> String {
        Suggestion.hint(for: word, in: Array(allowed.prefix(1_000)))
    }
}
