internal import Logging
internal import SystemPackage

/// How a disk stands, for those who look at its volume or its pool.
enum DiskCondition: Equatable, Sendable {
    case well
    /// The file system has no room for what the disk wanted to write, last so many seconds ago.
    case refused(secondsAgo: UInt64)
    /// Requests fail; the last failure in words.
    case failing(String)
    /// It takes no more writes; why, in words.
    case stopped(String)

    /// What is wrong with the disk itself; that there is no room is wrong with its pool.
    var fault: String? {
        switch self {
        case .well, .refused: nil
        case .failing(let words): "requests fail, the last one \(words)"
        case .stopped(let words): words
        }
    }
}

/// What has gone wrong with a disk: tells the log, which names the disk in every line, and keeps it for who looks.
/// Owned by the disk.
struct DiskHealth {
    /// The resource that the disk is, for the log.
    let name: String
    private let log: Logger
    private let whenChanged: (@Sendable () -> Void)?
    private var lines = LogThrottle(seconds: 1)
    private var refused: UInt64?
    private var failed: (words: String, at: UInt64)?
    private var stopped: String?

    /// How long a failure counts that has not come again, in nanoseconds.
    private static let memory: UInt64 = 300_000_000_000

    /// - Parameter whenChanged: called when the disk begins to stand otherwise.
    init(name: String, log: Logger, whenChanged: (@Sendable () -> Void)? = nil) {
        self.name = name
        self.log = log
        self.whenChanged = whenChanged
    }

    /// Something failed. The log tells the first at once and of further ones once a second.
    /// - Parameters:
    ///   - what: what was done, to which file and where.
    ///   - now: the loop's time, in nanoseconds.
    mutating func failed(_ what: String, _ error: Errno, at now: UInt64) {
        fails("\(what): \(error)", at: now, isRefusal: error == .noSpace || error == .diskQuotaExceeded)
    }

    /// Something failed that is no refusal of the kernel's.
    mutating func failed(_ words: String, at now: UInt64) { fails(words, at: now, isRefusal: false) }

    private mutating func fails(_ words: String, at now: UInt64, isRefusal: Bool) {
        let isNew = isRefusal ? refused == nil : failed.map { now &- $0.at >= Self.memory } ?? true
        if isRefusal { refused = now } else { failed = (words, now) }
        if isNew { whenChanged?() }
        guard let count = lines.note(at: now) else { return }
        log.error("\(name): \(words)\(count > 1 ? "; with it \(count - 1) more failures" : "")")
    }

    /// The disk takes no more writes.
    mutating func stops(_ words: String) {
        guard stopped == nil else { return }
        stopped = words
        whenChanged?()
        log.critical("\(name): \(words)")
    }

    /// Why a disk takes no more writes whose file could not be synced.
    static func notDurable(_ file: FilePath, _ error: Errno) -> String {
        "\(file) could not be made durable: \(error); writes since the last flush may be lost, and no more are taken "
            + "until the volume is opened again"
    }

    /// The disk goes on without what could not be done.
    func warns(_ words: String) { log.warning("\(name): \(words)") }

    /// There was room for something new.
    @inline(__always)
    mutating func foundRoom() {
        guard refused != nil else { return }
        refused = nil
        whenChanged?()
        log.notice("\(name): there is room again")
    }

    /// - Parameter now: the loop's time, in nanoseconds.
    func condition(at now: UInt64) -> DiskCondition {
        if let stopped { return .stopped(stopped) }
        if let failed, now &- failed.at < Self.memory { return .failing(failed.words) }
        if let refused { return .refused(secondsAgo: (now &- refused) / 1_000_000_000) }
        return .well
    }
}
