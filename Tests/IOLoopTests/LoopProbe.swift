import Glibc
import IOLoop
import Synchronization

/// A handler that hands what it hears to the test: completions in order, and a count of the hooks.
final class LoopProbe: LoopHandler {
    struct Heard: Equatable, Sendable {
        var tag: UInt32
        var result: Int32
        var more = false
    }

    private let heard: Journal
    /// What to do when the loop stops, besides noting it.
    var whenStopping: ((LoopProbe) -> Void)?
    /// What to do on a completion, besides noting it.
    var whenCompleted: ((LoopProbe, Heard) -> Void)?

    init(on loop: Loop, _ journal: Journal) {
        heard = journal
        super.init(on: loop)
    }

    override func completed(tag: UInt32, result: Int32, more: Bool) {
        let entry = Heard(tag: tag, result: result, more: more)
        heard.note(entry)
        whenCompleted?(self, entry)
    }

    override func timerFired(tag: UInt32) { heard.note(Heard(tag: tag, result: Journal.timer)) }
    override func batchEnded() { heard.note(Heard(tag: 0, result: Journal.batchEnd)) }
    override func buffersReturned() { heard.note(Heard(tag: 0, result: Journal.buffers)) }
    override func loopStopping() {
        heard.note(Heard(tag: 0, result: Journal.stopping))
        whenStopping?(self)
    }

    deinit { heard.note(Heard(tag: 0, result: Journal.gone)) }
}

/// What a probe heard, for the test to wait on from its own thread.
final class Journal: Sendable {
    static let timer = Int32.max
    static let batchEnd = Int32.max - 1
    static let buffers = Int32.max - 2
    static let stopping = Int32.max - 3
    static let gone = Int32.max - 4

    private let entries = Mutex<[LoopProbe.Heard]>([])

    func note(_ entry: LoopProbe.Heard) { entries.withLock { $0.append(entry) } }

    var all: [LoopProbe.Heard] { entries.withLock { $0 } }

    /// Waits until `count` entries are there, at most ten seconds; gives what is there.
    func wait(for count: Int) async -> [LoopProbe.Heard] {
        for _ in 0..<10_000 {
            if all.count >= count { break }
            try? await Task.sleep(for: .milliseconds(1))
        }
        return all
    }
}

/// A stopped-in-any-case loop for one test.
func withLoop(
    _ configuration: LoopConfiguration = LoopConfiguration(), _ body: (StorageLoop) async throws -> Void
) async throws {
    let loop = try StorageLoop(configuration)
    do {
        try await body(loop)
    } catch {
        await loop.stop()
        throw error
    }
    await loop.stop()
}

/// The two ends of a connected pair of stream sockets, and their closing.
func socketPair() -> (CInt, CInt) {
    var ends: [CInt] = [-1, -1]
    precondition(socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &ends) == 0)
    return (ends[0], ends[1])
}
