import Dispatch
import Foundation
import Logging
import ServiceLifecycle
import Syscall
import Testing

@testable import sdagent

@Suite("The control socket", .serialized, .timeLimit(.minutes(3)))
struct ControlServerTests {
    /// Runs a server over an agent, waits until it answers, and ends it in order afterwards.
    private func serve(
        _ boxes: Boxes, _ place: Workplace, _ body: @escaping @Sendable (ControlClient) throws -> Void
    ) async throws {
        let agent = try place.agent(boxes)
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let server = ControlServer(agent: agent, socketPath: place.socket, logger: logger)
        let group = ServiceGroup(configuration: .init(services: [.init(service: server)], logger: logger))
        let client = ControlClient(socketPath: place.socket)
        try await withThrowingTaskGroup { tasks in
            tasks.addTask { try await group.run() }
            tasks.addTask {
                while try !client.isAnswering() { try await Task.sleep(for: .milliseconds(10)) }
                do { try await Self.onThread { try body(client) } } catch {
                    await group.triggerGracefulShutdown()
                    throw error
                }
                await group.triggerGracefulShutdown()
            }
            try await tasks.waitForAll()
        }
        // A server that has ended leaves no socket behind.
        #expect(FileManager.default.fileExists(atPath: place.socket) == false)
    }

    @Test("Plan, apply and status go through it and back")
    func roundTrips() async throws {
        let boxes = Boxes()
        let place = try Workplace()
        try await serve(boxes, place) { client in
            let body = try JSONText.compact(place.request("boxes: {a: {value: x}}"))
            let plan = try client.send(.post, "/v1/plan", body: body, patience: .short, as: PlanDocument.self)
            #expect(plan.exitCode == 2)
            #expect(boxes.values.isEmpty)
            let apply = try client.send(.post, "/v1/apply", body: body, patience: .short, as: ApplyDocument.self)
            #expect(apply.changes.map(\.result) == ["done"])
            #expect(boxes.values == ["a": "x"])
            let again = try client.send(.post, "/v1/apply", body: body, patience: .short, as: ApplyDocument.self)
            #expect(ApplyText.summary(again) == "No changes: the node is as the manifest says.")
            let status = try client.send(.get, "/v1/status", patience: .short, as: StatusDocument.self)
            #expect(status.resources.map(\.state) == ["converged"])
            let version = try client.send(.get, "/v1/version", patience: .short, as: VersionDocument.self)
            #expect(version.version == SDAgent.version)
            let reconcile = try client.send(.post, "/v1/reconcile", patience: .short, as: ApplyDocument.self)
            #expect(reconcile.changes.isEmpty)
        }
    }

    @Test("Mistakes in a manifest come back with their places")
    func mistakes() async throws {
        let place = try Workplace()
        try await serve(Boxes(), place) { client in
            let body = try JSONText.compact(place.request("boxes: {a: {}}"))
            #expect {
                try client.send(.post, "/v1/apply", body: body, patience: .short, as: ApplyDocument.self)
            } throws: { error in
                (error as? ControlError)?.mistakes?.hasPrefix("given.yaml:1:12: error: box 'a' needs 'value'") == true
            }
        }
    }

    @Test(
        "What is wrong with a request is said in JSON",
        arguments: [
            ("GET /v1/nothing HTTP/1.1\r\n", "", 404, "nothing answers here"),
            ("DELETE /v1/status HTTP/1.1\r\n", "", 404, "nothing answers here"),
            ("POST /v1/apply HTTP/1.1\r\nContent-Type: application/json\r\n", "{\"files\":1}", 400, "(in files)"),
            (
                "POST /v1/apply HTTP/1.1\r\nContent-Type: application/json\r\n", "{\"fi", 400,
                "not the JSON of a manifest"
            ),
            ("POST /v1/apply HTTP/1.1\r\nContent-Type: application/json\r\n", "{}", 400, "'files' is missing"),
            ("POST /v1/apply HTTP/1.1\r\nContent-Type: application/json\r\n", "{\"files\":[]}", 400, "names no file"),
            (
                "POST /v1/plan HTTP/1.1\r\nContent-Type: application/json\r\n",
                "{\"files\":[{\"file\":\"a\",\"directory\":\"b\",\"text\":\"\"}]}", 400, "not an absolute path: 'b'"
            ),
            ("POST /v1/plan?directory=x HTTP/1.1\r\n", "", 400, "not an absolute path: 'x'"),
            ("POST /v1/plan HTTP/1.1\r\n", "boxes: [", 422, "the manifest has mistakes"),
            ("POST /v1/plan HTTP/1.1\r\n", "\u{ff}", 422, "the manifest has mistakes"),
            ("POST /v1/reconcile HTTP/1.1\r\n", "", 409, "there is no desired state yet"),
        ])
    func refusals(_ head: String, _ body: String, _ status: Int, _ words: String) async throws {
        try await serve(Boxes(), try Workplace()) { client in
            let answer = try Self.exchange(client.socketPath, head, Array(body.utf8))
            #expect(answer.status == status)
            let document = try JSONText.decode(ErrorDocument.self, answer.body)
            #expect(document.error.message.contains(words))
        }
    }

    @Test("A manifest as curl sends it is taken as it is")
    func plainYAML() async throws {
        let boxes = Boxes()
        try await serve(boxes, try Workplace()) { client in
            let head = "POST /v1/apply?directory=/srv HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            let answer = try Self.exchange(client.socketPath, head, Array("boxes: {a: {value: x}}".utf8))
            #expect(answer.status == 200)
            #expect(boxes.values == ["a": "x"])
        }
    }

    @Test("A body beyond the limit is refused, and so are endless headers")
    func tooLarge() async throws {
        try await serve(Boxes(), try Workplace()) { client in
            let body = [UInt8](repeating: UInt8(ascii: "#"), count: ControlServer.manifestLimit + 1)
            let answer = try Self.exchange(client.socketPath, "POST /v1/plan HTTP/1.1\r\n", body)
            #expect(answer.status == 413)
            let header = "X: " + String(repeating: "y", count: 20_000) + "\r\n"
            let second = try Self.exchange(client.socketPath, "GET /v1/version HTTP/1.1\r\n" + header, [])
            #expect((400...499).contains(second.status))
        }
    }

    @Test("Garbage on one connection leaves the others alone")
    func garbage() async throws {
        try await serve(Boxes(), try Workplace()) { client in
            let heads = ["\u{0}\u{1}\u{2}", "GET / HTTP/9.9", "POST /v1/plan HTTP/1.1\r\nContent-Length: x"]
            for text in heads.map({ $0 + "\r\n\r\n" }) {
                let socket = try UnixSocket(connectingTo: client.socketPath, timeout: .seconds(5))
                try socket.send(Array(text.utf8))
                let answer = try socket.receive(atMost: 4096)
                #expect(answer.isEmpty || String(decoding: answer, as: UTF8.self).hasPrefix("HTTP/1.1 400 "))
            }
            _ = try client.send(.get, "/v1/version", patience: .short, as: VersionDocument.self)
        }
    }

    @Test("Nobody answers on a path without a socket, and on a socket whose daemon is gone")
    func nobody() throws {
        let place = try Workplace()
        #expect(try ControlClient(socketPath: place.folder + "/none").isAnswering() == false)
        #expect(try ControlClient(socketPath: place.folder + "/none/at/all").isAnswering() == false)
        let long = ControlClient(socketPath: "/" + String(repeating: "x", count: 200))
        #expect { try long.isAnswering() } throws: { error in "\(error)".contains("is too long (201 bytes") }
    }

    /// The client blocks its thread, and the server needs those that run tasks.
    private static func onThread(_ body: @escaping @Sendable () throws -> Void) async throws {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(with: Result(catching: body)) }
        }
    }

    private static func exchange(_ path: String, _ head: String, _ body: [UInt8]) throws -> ControlResponse {
        let socket = try UnixSocket(connectingTo: path, timeout: .seconds(10))
        let rest = "Host: x\r\nConnection: close\r\nContent-Length: \(body.count)\r\n\r\n"
        // The server may answer and close before it has read all: what it said counts.
        do { try socket.send(Array((head + rest).utf8) + body) } catch {}
        var bytes: [UInt8] = []
        while let piece = try? socket.receive(atMost: 65_536), !piece.isEmpty { bytes += piece }
        return try ControlResponse(parsing: bytes)
    }
}
