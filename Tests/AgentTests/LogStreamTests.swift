import Logging
import Testing

@testable import sdagent

@Suite("The log")
struct LogStreamTests {
    private func line(_ message: Logger.Message, _ metadata: Logger.Metadata? = nil, isJournal: Bool = false) -> String
    {
        let event = LogEvent(
            level: .notice, message: message, metadata: metadata, source: "", file: "", function: "", line: 0)
        return LogStream(level: .info, environment: isJournal ? ["JOURNAL_STREAM": "8:1"] : [:]).line(event)
    }

    @Test("What a peer sends stays inside its message: it begins no line and steers no terminal")
    func strangers() {
        let forged = "x\n2026-11-25T00:00:00Z notice: deleted volume/a\r\n\u{1b}[2J\u{202e}"
        let escaped = "x\\u000a2026-11-25T00:00:00Z notice: deleted volume/a\\u000d\\u000a\\u001b[2J\\u202e"
        #expect(line("peer: \(forged)").hasSuffix(" notice: peer: \(escaped)\n"))
        #expect(line("peer: \(forged)").split(whereSeparator: \.isNewline).count == 1)
        #expect(line("peer", ["name": "\(forged)"]).hasSuffix(" notice: peer name=\(escaped)\n"))
        #expect(line("peer: \(forged)", isJournal: true) == "<5>peer: \(escaped)\n")
    }
}
