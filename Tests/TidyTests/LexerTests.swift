import Testing

/// The rules are only as good as the tokens they read.
@Suite("Lexer of the house rules")
struct LexerTests {
    private func code(_ source: String) -> [String] {
        Lexer.tokens(of: source).filter { $0.kind == .word || $0.kind == .sign }.map(\.text)
    }

    private func texts(_ source: String) -> [String] {
        Lexer.tokens(of: source).filter { $0.kind == .text }.map(\.text)
    }

    @Test func `code, text and comments are told apart`() {
        let tokens = Lexer.tokens(of: "let a = \"try! b\" // try! c\n/* try! /* d */ */ e")
        #expect(tokens.map(\.kind) == [.word, .word, .sign, .text, .comment, .comment, .word])
        #expect(tokens.map(\.line) == [1, 1, 1, 1, 1, 2, 2])
        #expect(tokens.last?.text == "e")
    }

    @Test func `an interpolation is code`() {
        #expect(code(#"f("a \(b(c)! + "x\(d)") e")"#) == ["f", "(", "b", "(", "c", ")", "!", "+", "d", ")"])
        #expect(texts(#""a \(b) c""#) == ["a ", " c"])
    }

    @Test func `quotes within texts end nothing`() {
        #expect(texts(#""a \" b" + "c""#) == [#"a \" b"#, "c"])
        #expect(texts(##"#"a " \n b"# + "c""##) == [#"a " \n b"#, "c"])
        #expect(texts("\"\"\"\na \"b\" c\n\"\"\" + \"d\"") == ["\na \"b\" c\n", "d"])
    }

    @Test func `a text that is not closed ends with its line`() {
        #expect(code("let a = \"b\nlet c") == ["let", "a", "=", "let", "c"])
    }

    @Test func `a name in backticks is one word`() {
        #expect(code("func `a try! b`()") == ["func", "a try! b", "(", ")"])
    }

    @Test func `what touches is known to touch`() {
        #expect(Lexer.tokens(of: "a! = !b").map(\.isAttached) == [false, true, false, false, true])
    }

    @Test(arguments: ["\"", "\"\"\"", "#\"", "/*", "`", "\"\\(", "\"\\(a", "\\", "\"\\", ")", "((("])
    func `what is broken off is read to its end`(source: String) {
        _ = Lexer.tokens(of: source)
        #expect(Lexer.tokens(of: source + "\n").allSatisfy { $0.line <= 2 })
    }
}
