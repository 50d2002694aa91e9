/// One piece of Swift source as the rules see it.
struct Token: Equatable {
    enum Kind: Equatable {
        /// An identifier or a keyword; `#if` and `@unchecked` come as a sign and a word.
        case word
        /// A single character that is none of the others.
        case sign
        /// The text of a string literal between its quotes; an interpolation splits it and comes as code.
        case text
        /// A comment with its slashes.
        case comment
    }

    let kind: Kind
    let text: String
    /// From 1; where it begins.
    let line: Int
    /// Whether nothing, not even a blank, stands between it and the token before.
    let isAttached: Bool

    func isWord(_ word: String) -> Bool { kind == .word && text == word }
    func isSign(_ sign: String) -> Bool { kind == .sign && text == sign }
}

/// Enough of a lexer to tell code, text and comments apart. It never fails: what it does not know is a sign.
struct Lexer {
    private let bytes: [UInt8]
    private var at = 0
    private var line = 1
    private var tokens: [Token] = []
    private var wasBlank = true

    static func tokens(of source: String) -> [Token] {
        var lexer = Lexer(bytes: Array(source.utf8))
        lexer.readCode(untilParenthesis: false)
        return lexer.tokens
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private func byte(_ ahead: Int = 0) -> UInt8? { at + ahead < bytes.count ? bytes[at + ahead] : nil }

    private func comes(_ text: StaticString, at ahead: Int = 0) -> Bool {
        text.withUTF8Buffer { expected in
            guard at + ahead + expected.count <= bytes.count else { return false }
            return expected.indices.allSatisfy { bytes[at + ahead + $0] == expected[$0] }
        }
    }

    private mutating func step(_ count: Int = 1) {
        for _ in 0..<count where at < bytes.count {
            if bytes[at] == UInt8(ascii: "\n") { line += 1 }
            at += 1
        }
    }

    private mutating func add(_ kind: Token.Kind, from start: Int, to end: Int? = nil, line: Int) {
        let text = String(decoding: bytes[start..<max(start, end ?? at)], as: UTF8.self)
        tokens.append(Token(kind: kind, text: text, line: line, isAttached: !wasBlank))
        wasBlank = false
    }

    private mutating func readCode(untilParenthesis: Bool) {
        var depth = 0
        while let next = byte() {
            let (start, first) = (at, line)
            switch next {
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\n"), UInt8(ascii: "\r"):
                step()
                wasBlank = true
            case _ where comes("//"):
                while let inner = byte(), inner != UInt8(ascii: "\n") { step() }
                add(.comment, from: start, line: first)
            case _ where comes("/*"):
                readBlockComment()
                add(.comment, from: start, line: first)
            case UInt8(ascii: "\""): readString(hashes: 0)
            case UInt8(ascii: "#") where hashesBeforeQuote() > 0: readString(hashes: hashesBeforeQuote())
            case UInt8(ascii: "`"):
                step()
                while let inner = byte(), inner != UInt8(ascii: "`"), inner != UInt8(ascii: "\n") { step() }
                add(.word, from: start + 1, line: first)
                step()
            case _ where Self.isWordByte(next):
                while let inner = byte(), Self.isWordByte(inner) { step() }
                add(.word, from: start, line: first)
            default:
                if next == UInt8(ascii: "(") { depth += 1 }
                if next == UInt8(ascii: ")") {
                    if untilParenthesis, depth == 0 { return }
                    depth -= 1
                }
                step()
                add(.sign, from: start, line: first)
            }
        }
    }

    /// Bytes beyond ASCII count as letters: names in other scripts, and signs that no rule asks for.
    private static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "$"), 0x80...0xff:
            true
        default: false
        }
    }

    private mutating func readBlockComment() {
        var depth = 0
        repeat {
            if comes("/*") {
                depth += 1
                step(2)
            } else if comes("*/") {
                depth -= 1
                step(2)
            } else {
                step()
            }
        } while depth > 0 && at < bytes.count
    }

    /// How many `#` stand before an opening quote here; zero where none opens.
    private func hashesBeforeQuote() -> Int {
        var count = 0
        while byte(count) == UInt8(ascii: "#") { count += 1 }
        return byte(count) == UInt8(ascii: "\"") ? count : 0
    }

    private func hashesFollow(_ count: Int, at ahead: Int) -> Bool {
        (0..<count).allSatisfy { byte(ahead + $0) == UInt8(ascii: "#") }
    }

    private mutating func readString(hashes: Int) {
        let isLong = comes("\"\"\"", at: hashes)
        let quotes = isLong ? 3 : 1
        step(hashes + quotes)
        var (start, first) = (at, line)
        while let next = byte() {
            let isQuote = isLong ? comes("\"\"\"") : next == UInt8(ascii: "\"")
            if isQuote, hashesFollow(hashes, at: quotes) { break }
            if next == UInt8(ascii: "\n"), !isLong { break }
            if next == UInt8(ascii: "\\"), hashesFollow(hashes, at: 1) {
                if byte(1 + hashes) == UInt8(ascii: "(") {
                    add(.text, from: start, line: first)
                    step(2 + hashes)
                    readCode(untilParenthesis: true)
                    step()
                    (start, first) = (at, line)
                } else {
                    step(2 + hashes)
                }
            } else {
                step()
            }
        }
        add(.text, from: start, line: first)
        if byte() != UInt8(ascii: "\n") { step(quotes + hashes) }
        wasBlank = false
    }
}
