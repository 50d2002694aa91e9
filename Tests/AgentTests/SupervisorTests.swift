import Foundation
import TestSupport
import Testing

@testable import sdagent

@Suite("What systemd is told", .timeLimit(.minutes(3)))
struct SupervisorTests {
    @Test("Datagrams of sd_notify go to the socket that NOTIFY_SOCKET names")
    func datagrams() async throws {
        let place = try Workplace()
        let receive = """
            import socket, sys
            s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            s.bind(sys.argv[1])
            s.settimeout(20)
            print("|".join(s.recv(100).decode() for _ in range(4)))
            """
        async let heard = output(of: ["python3", "-c", receive, place.socket])
        while !FileManager.default.fileExists(atPath: place.socket) { try await Task.sleep(for: .milliseconds(10)) }
        let supervisor = Supervisor(environment: ["NOTIFY_SOCKET": place.socket])
        supervisor.isStarting()
        supervisor.isReady()
        supervisor.isAlive()
        supervisor.isStopping()
        #expect(try await heard == "EXTEND_TIMEOUT_USEC=120000000|READY=1|WATCHDOG=1|STOPPING=1\n")
    }

    @Test("Who has lost a word of systemd's hears the next one")
    func comeback() async throws {
        let place = try Workplace()
        let supervisor = Supervisor(environment: ["NOTIFY_SOCKET": place.socket])
        supervisor.isReady()
        let receive = """
            import socket, sys
            s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            s.bind(sys.argv[1])
            s.settimeout(20)
            print(s.recv(100).decode())
            """
        async let heard = output(of: ["python3", "-c", receive, place.socket])
        while !FileManager.default.fileExists(atPath: place.socket) { try await Task.sleep(for: .milliseconds(10)) }
        supervisor.isAlive()
        #expect(try await heard == "WATCHDOG=1\n")
    }
}
