import Testing
import TestSupport

/// The target as libiscsi's tools see it.
@Suite(.ownThreads) struct InitiatorToolTests {
    @Test func aDiscoveryListsTheTargetAndItsUnits() async throws {
        try await withServer(disks: [64 << 20, 32 << 20]) { server in
            let listing = try await output(of: ["iscsi-ls", "-s", "iscsi://127.0.0.1:\(server.port)"])
            #expect(listing.contains("Target:\(ServedFixture.target) Portal:127.0.0.1:\(server.port),1"))
            #expect(listing.contains("Lun:0"))
            #expect(listing.contains("Lun:1"))
        }
    }

    @Test func inquiryTellsOfTheDisk() async throws {
        try await withServer { server in
            let inquiry = try await output(of: ["iscsi-inq", server.url()])
            #expect(inquiry.contains("Peripheral Device Type:DIRECT_ACCESS"))
        }
    }

    @Test func aDiskIsWrittenAndReadBackByQemu() async throws {
        try await withServer { server in
            for command in ["write -P 0xa5 0 64k", "write -P 0x5a 1M 300k", "write -P 7 4k 512"] {
                try await output(of: ["qemu-io", "-f", "raw", "-c", command, server.url()])
            }
            for command in ["read -P 0xa5 0 4k", "read -P 7 4k 512", "read -P 0x5a 1M 300k", "read -P 0 2M 1M"] {
                let said = try await output(of: ["qemu-io", "-f", "raw", "-c", command, server.url()])
                #expect(!said.contains("failed"), "\(command): \(said)")
            }
        }
    }
}
