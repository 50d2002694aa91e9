import IOLoop
import ISCSI
import SystemPackage
import Testing
import TestSupport

@testable import BlockStore

/// Who may come in, how, and what becomes of sessions.
@Suite(.ownThreads) struct SessionTests {
    private static func access(mutual: Bool = false) -> TargetAccess {
        TargetAccess(
            credentials: [CHAPCredential(name: "vm1", secret: Array("onewaysecret12".utf8))],
            mutual: mutual ? CHAPCredential(name: "target", secret: Array("otherwaysecret".utf8)) : nil)
    }

    @Test func theRightSecretOpensTheDoor() async throws {
        try await withServer(access: Self.access()) { server in
            try await output(of: ["iscsi-inq", server.url(credentials: "vm1%onewaysecret12@")])
            try await output(of: [
                "qemu-io", "-f", "raw", "-c", "read 0 4k", server.url(credentials: "vm1%onewaysecret12@"),
            ])
        }
    }

    @Test(arguments: ["", "vm1%anothersecret1@", "vm2%onewaysecret12@", "vm1%@"])
    func nothingElseDoes(credentials: String) async throws {
        try await withServer(access: Self.access()) { server in
            let result = try await command(["iscsi-inq", server.url(credentials: credentials)], seconds: 20)
            #expect(result.code != 0 && result.code != 124)
        }
    }

    @Test func theTargetProvesItselfInTurn() async throws {
        try await withServer(access: Self.access(mutual: true)) { server in
            let url = server.url(credentials: "vm1%onewaysecret12@")
            try await output(of: ["iscsi-inq", url + "?target_user=target&target_password=otherwaysecret"])
            let wrong = try await command(
                ["iscsi-inq", url + "?target_user=target&target_password=notthatsecret1"], seconds: 20)
            #expect(wrong.code != 0 && wrong.code != 124)
        }
    }

    @Test func anInitiatorThatIsNotNamedIsRefused() async throws {
        try await withServer(access: TargetAccess(initiators: ["iqn.2007-10.com.github:sahlberg:*"])) { server in
            try await output(of: ["iscsi-inq", server.url()])
            let other = RawInitiator(port: server.port)
            let answer = other.login(ServedFixture.target)
            // Status class 2, detail 2: not authorised.
            #expect(answer?.header[36] == 2 && answer?.header[37] == 2)
        }
    }

    @Test(arguments: ["header_digest=crc32c", "header_digest=none"])
    func headerDigestsAreNegotiated(key: String) async throws {
        try await withServer { server in
            try await output(of: ["iscsi-inq", server.url() + "?\(key)"])
            try await output(of: ["iscsi-readcapacity16", server.url() + "?\(key)"])
        }
    }

    @Test func theSameInitiatorComingBackEndsItsOldSession() async throws {
        try await withServer { server in
            let first = RawInitiator(port: server.port)
            #expect(first.login(ServedFixture.target)?.header[36] == 0)
            let second = RawInitiator(port: server.port)
            #expect(second.login(ServedFixture.target)?.header[36] == 0)
            #expect(first.isShownOut())
            var cmdSN: UInt32 = 1
            #expect(second.settle(&cmdSN))
            let count = await server.loop.run { loop in server.registry.open(on: loop).sessions.count }
            #expect(count == 1)
        }
    }

    @Test func aWriteThatNeedsManyBurstsArrivesWhole() async throws {
        try await withServer { server in
            for size in ["3M", "5M", "1000k"] {
                let url = server.url()
                let commands = ["write -P 0x3c 512 \(size)", "read -P 0x3c 512 \(size)", "read -P 0 0 512"]
                let said = try await output(of: ["qemu-io", "-f", "raw"] + commands.flatMap { ["-c", $0] } + [url])
                #expect(!said.contains("failed"), "\(said)")
            }
        }
    }

    @Test func aServerShortOfBuffersIsSlowAndNotWrong() async throws {
        var configuration = LoopConfiguration()
        configuration.buffers = [
            .init(bytes: 4096, slots: 1), .init(bytes: 65536, slots: 4), .init(bytes: 1 << 20, slots: 2),
        ]
        try await withServer(configuration: configuration) { server in
            let image = server.directory.appending("source").string
            try await output(of: ["qemu-img", "create", "-q", "-f", "raw", image, "64M"])
            try await output(of: [
                "qemu-io", "-f", "raw", "-c", "write -P 0x11 0 20M", "-c", "write -P 0x22 30M 9M", image,
            ])
            try await output(of: [
                "qemu-img", "convert", "-n", "-W", "-m", "16", "-f", "raw", "-O", "raw", image, server.url(),
            ])
            try await output(of: ["qemu-img", "compare", "-f", "raw", "-F", "raw", image, server.url()])
            #expect(try await eventually(within: 20) { await server.loop.run { $0.buffers.lentBytes } == 0 })
        }
    }

    @Test func aLoadOfReadsEndsWithAllBuffersBack() async throws {
        try await withServer { server in
            try await output(of: ["iscsi-perf", "-m", "32", "-b", "8", "-t", "1", "-r", server.url()], seconds: 20)
            // The connection's own receive buffer goes with it.
            #expect(try await eventually(within: 20) { await server.loop.run { $0.buffers.lentBytes } == 0 })
        }
    }
}
