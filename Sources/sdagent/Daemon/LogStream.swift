import FoundationEssentials
import Logging
import Manifest

/// One line on standard error for each message, as a terminal and the systemd journal like it.
struct LogStream: LogHandler {
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    private let isJournal: Bool

    /// - Parameter environment: JOURNAL_STREAM says that the journal reads along; it stamps and ranks lines itself.
    init(level: Logger.Level, environment: [String: String]) {
        logLevel = level
        isJournal = environment["JOURNAL_STREAM"] != nil
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { Terminal.error(line(event)) }

    /// A message holds words of peers and of the manifest: whatever stands in it, it is one line, and does not begin
    /// another one that looks like ours. Who has several lines to tell sends several messages.
    func line(_ event: LogEvent) -> String {
        let own = metadata.merging(event.metadata ?? [:]) { _, new in new }
        let details = own.isEmpty ? "" : own.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
        return prefix(event.level) + Printable.text("\(event.message)\(details)") + "\n"
    }

    private func prefix(_ level: Logger.Level) -> String {
        // sd-daemon(3): the priority in angle brackets in front of a line.
        guard !isJournal else { return "<\(Self.priority(level))>" }
        return "\(Date.now.formatted(.iso8601)) \(level.rawValue): "
    }

    private static func priority(_ level: Logger.Level) -> Int {
        switch level {
        case .critical: 2
        case .error: 3
        case .warning: 4
        case .notice: 5
        case .info: 6
        case .debug, .trace: 7
        }
    }
}
