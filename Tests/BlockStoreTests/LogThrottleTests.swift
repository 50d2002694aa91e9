import IOLoop
import Logging
import Syscall
import Testing

@testable import BlockStore

/// What peers and disks can cause at will does not fill the log.
@Suite struct LogThrottleTests {
    @Test func linesAreFewAndTellOfWhatWasLeftOut() {
        let second: UInt64 = 1_000_000_000
        var throttle = LogThrottle(lines: 2, seconds: 5)
        #expect((0..<5).map { throttle.note(at: $0) } == [1, 1, nil, nil, nil])
        #expect(throttle.note(at: 5 * second - 1) == nil)
        #expect(throttle.note(at: 5 * second) == 5)
        #expect(throttle.note(at: 5 * second) == 1)
        #expect(throttle.note(at: 5 * second) == nil)
        var single = LogThrottle(seconds: 1)
        #expect([0, 1, second, second + 1, 2 * second].map { single.note(at: $0) } == [1, nil, 2, nil, 2])
    }

    @Test func strangersAreToldOfInTenLinesAtOnce() async throws {
        try await withServer { server in
            let book = LogBook()
            let peer = try #require(SocketAddress(host: "192.0.2.7", port: 3260))
            await server.loop.run { loop in
                let registry = TargetRegistry(on: loop, log: book.logger, limits: .patient)
                for number in 0..<1000 { registry.remark(onStranger: "\(peer)", "login refused: \(number)") }
            }
            #expect(book.lines.count == 10)
            #expect(book.lines.last?.hasSuffix("192.0.2.7:3260: login refused: 9") == true)
        }
    }
}
