internal import Foundation
internal import Glibc
internal import Synchronization
internal import SystemPackage

/// The process beside this one that runs the programs of its tests, because a test process must not fork; `launcher.py`
/// says why, and what is said over the socket.
final class Launcher: Sendable {
    /// What becomes of a program.
    enum Event: Sendable {
        case started(pid: Int32)
        case ended(RunningCommand.End, output: String, error: String)
        case refused(String)
    }

    private struct Order: Encodable {
        var id: Int
        var words: [String]?
        var seconds: Int?
        var log: String?
        var end: Bool?
    }

    private struct Answer: Decodable {
        var id: Int
        var pid: Int32?
        var code: Int32?
        var output: String?
        var error: String?
        var refused: String?

        var event: Event? {
            if let refused { return .refused(refused) }
            if let code {
                return .ended(code < 0 ? .signaled(-code) : .exited(code), output: output ?? "", error: error ?? "")
            }
            return pid.map { .started(pid: $0) }
        }
    }

    private struct State {
        var serial = 0
        var listeners: [Int: @Sendable (Event) -> Void] = [:]
        var isGone = false
    }

    /// How the names of all begin that this process makes and that outlive it: directories, namespaces.
    static let mark = "sdt-\(getpid())-"

    /// The one of this process.
    static func own() throws -> Launcher { try launched.get() }
    private static let launched = Result { try Launcher() }

    private let socket: CInt
    private let state = Mutex(State())

    private init() throws {
        var ends: [CInt] = [-1, -1]
        guard socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw Errno(rawValue: errno)
        }
        socket = ends[0]
        try Self.spawn(script: #filePath.replacing("Launcher.swift", with: "launcher.py"), socket: ends[1])
        close(ends[1])
        Thread.detachNewThread { self.listen() }
    }

    private static func spawn(script: String, socket: CInt) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, socket, 0)
        // Who reads what this process says reads to the end: it must not wait for the launcher's.
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        var arguments: [UnsafeMutablePointer<CChar>?] = [strdup("python3"), strdup(script), strdup(mark), nil]
        defer { for argument in arguments { free(argument) } }
        var pid: pid_t = 0
        let failure = posix_spawnp(&pid, "python3", &actions, nil, &arguments, environ)
        guard failure == 0 else { throw MissingProgram(program: "python3", detail: "\(Errno(rawValue: failure))") }
    }

    /// Has a program started, whose events are then heard one by one.
    ///
    /// - Returns: the number by which it is ended.
    func launch(
        _ words: [String], seconds: Int?, log: String?, _ listener: @escaping @Sendable (Event) -> Void
    ) throws -> Int {
        let id = try state.withLock { state throws(LauncherGone) in
            guard !state.isGone else { throw LauncherGone() }
            state.serial += 1
            state.listeners[state.serial] = listener
            return state.serial
        }
        try send(Order(id: id, words: words, seconds: seconds, log: log))
        return id
    }

    /// Kills a program; if it still runs, its end is heard.
    func end(_ id: Int) throws { try send(Order(id: id, end: true)) }

    private func send(_ order: Order) throws {
        let line = try JSONEncoder().encode(order) + [UInt8(ascii: "\n")]
        // Whole lines, one after the other.
        try state.withLock { _ throws(LauncherGone) in
            var sent = 0
            while sent < line.count {
                let count = line.withUnsafeBytes {
                    Glibc.send(socket, $0.baseAddress.map { $0 + sent }, line.count - sent, CInt(MSG_NOSIGNAL))
                }
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { throw LauncherGone() }
                sent += count
            }
        }
    }

    /// Hands on what the launcher says, on a thread of its own, to its end.
    private func listen() {
        var rest = Data()
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = recv(socket, &piece, piece.count, 0)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            var new = piece[..<count]
            while let end = new.firstIndex(of: UInt8(ascii: "\n")) {
                hear(rest + new[..<end])
                rest = Data()
                new = new[(end + 1)...]
            }
            rest += new
        }
        let listeners = state.withLock { state in
            state.isGone = true
            return state.listeners.values
        }
        for listener in listeners { listener(.refused("the launcher of programs has gone")) }
    }

    private func hear(_ line: Data) {
        guard let answer = try? JSONDecoder().decode(Answer.self, from: line), let event = answer.event else { return }
        let listener = state.withLock { state in
            if case .started = event { return state.listeners[answer.id] }
            return state.listeners.removeValue(forKey: answer.id)
        }
        listener?(event)
    }
}

/// The process that runs programs for this one has gone.
struct LauncherGone: Error {}
