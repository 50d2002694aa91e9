import Syscall
import SystemPackage

/// The commands' side of the control socket: one request on one connection, with a bound on every wait.
///
/// It sits on a plain socket, because starting an event loop would cost more than the whole of a small apply.
struct ControlClient: Sendable {
    let socketPath: String

    /// The largest answer that is taken in: a status of some hundred thousand resources.
    private static let answerLimit = 256 * 1024 * 1024
    /// How long a daemon may take to accept a connection, or to go on with one.
    private static let connectTimeout = Duration.seconds(10)

    /// How a request waits for its answer.
    enum Patience: Sendable {
        /// Answered from memory.
        case short
        /// The daemon may have to finish other work first, copy an image, or make a thousand links.
        case long

        var timeout: Duration {
            switch self {
            case .short: .seconds(30)
            case .long: .seconds(1800)
            }
        }
    }

    /// Whether a daemon listens on the socket. Where there is none, nothing was started and nothing waited for.
    func isAnswering() throws(ControlError) -> Bool {
        do throws(Errno) {
            _ = try UnixSocket(connectingTo: socketPath, timeout: Self.connectTimeout)
            return true
        } catch {
            switch error {
            // No file, a file that nobody listens on any more, a directory that is not there.
            case .noSuchFileOrDirectory, .connectionRefused, .notDirectory: return false
            default: throw ControlError(socketPath, .connect(error))
            }
        }
    }

    /// Sends one request and waits for the answer.
    func send<Answer: Decodable>(
        _ method: Method, _ path: String, body: [UInt8] = [], patience: Patience, as answer: Answer.Type
    ) throws(ControlError) -> Answer {
        let response = try exchange(method, path, body: body, patience: patience)
        guard response.status < 300 else { throw refusal(response) }
        do {
            return try JSONText.decode(answer, response.body)
        } catch {
            throw ControlError(socketPath, .answer("it is not the JSON that was expected (\(error))"))
        }
    }

    /// What is asked for.
    enum Method: String {
        case get = "GET"
        case post = "POST"
    }

    private func exchange(
        _ method: Method, _ path: String, body: [UInt8], patience: Patience
    ) throws(ControlError) -> ControlResponse {
        let head = """
            \(method.rawValue) \(path) HTTP/1.1\r
            Host: sdagent\r
            Connection: close\r
            Content-Type: application/json\r
            Content-Length: \(body.count)\r
            \r\n
            """
        var received: [UInt8] = []
        do throws(Errno) {
            let socket = try UnixSocket(connectingTo: socketPath, timeout: Self.connectTimeout)
            try socket.send(Array(head.utf8) + body)
            try socket.setTimeout(patience.timeout)
            while true {
                let piece = try socket.receive(atMost: 256 * 1024)
                if piece.isEmpty { break }
                received += piece
                guard received.count <= Self.answerLimit else { throw .fileTooLarge }
            }
        } catch {
            throw ControlError(socketPath, received.isEmpty ? .connect(error) : .answer("reading it failed: \(error)"))
        }
        do throws(ControlResponse.Fault) {
            return try ControlResponse(parsing: received)
        } catch {
            switch error {
            case .cutShort: throw ControlError(socketPath, .answer("it ends early; the daemon may have been stopped"))
            case .malformed: throw ControlError(socketPath, .answer("it is not HTTP"))
            }
        }
    }

    private func refusal(_ response: ControlResponse) -> ControlError {
        guard let document = try? JSONText.decode(ErrorDocument.self, response.body) else {
            return ControlError(socketPath, .answer("it is HTTP status \(response.status) without a reason"))
        }
        return ControlError(socketPath, .refused(document.error.message, mistakes: document.error.mistakes))
    }
}

/// Why the daemon could not be asked, or said no.
struct ControlError: Error, CustomStringConvertible {
    enum Cause: Sendable {
        case connect(Errno)
        case answer(String)
        case refused(String, mistakes: String?)
    }

    let socketPath: String
    let cause: Cause

    init(_ socketPath: String, _ cause: Cause) {
        self.socketPath = socketPath
        self.cause = cause
    }

    /// What is wrong with the manifest that was sent, as text of several lines.
    var mistakes: String? {
        if case .refused(_, let mistakes) = cause { mistakes } else { nil }
    }

    var description: String {
        switch cause {
        case .connect(.permissionDenied), .connect(.notPermitted):
            "the control socket \(socketPath) may be used by root alone: run the command with sudo"
        case .connect(.fileNameTooLong):
            "the path of the control socket is too long (\(socketPath.utf8.count) bytes, "
                + "\(UnixSocket.maximumPathLength) at most): give a shorter one with --socket"
        case .connect(.wouldBlock), .connect(.resourceTemporarilyUnavailable):
            "the daemon on \(socketPath) does not answer in time: look at its log (journalctl -u sdagent)"
        case .connect(let error):
            "the daemon on \(socketPath) cannot be asked: \(error). Is `sdagent run` alive?"
        case .answer(let why):
            "the answer of the daemon on \(socketPath) cannot be read: \(why)"
        case .refused(let message, let mistakes):
            [message, mistakes].compactMap { $0 }.joined(separator: "\n")
        }
    }
}
