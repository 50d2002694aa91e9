import TestSupport
import Testing

/// A daemon whose pool lies on a file system that is mounted late, or goes.
@Suite(.enabled(if: TestNamespace.isPossible && haveTools("iscsi-inq", "qemu-io", "mount")))
struct LostPoolTests {
    private static let manifest = """
        pools: { fast: { path: mnt/pool } }
        volumes: { disk: { pool: fast, size: 64MiB } }
        targets: { "iqn.2026-11.org.example:open": { portals: ["127.0.0.1:3260"], luns: { 0: disk } } }

        """

    @Test func itServesNoEmptyDiskForOneThatIsNotMounted() async throws {
        try await AgentNode.with(Self.manifest) { node in
            let mount = node.directory.file("mnt")
            let store = node.directory.file("store")
            try await output(of: ["mkdir", mount, store])
            do {
                try await live(node, store, mount)
            } catch {
                _ = try await command(["umount", "-l", mount])
                throw error
            }
            _ = try await command(["umount", "-l", mount])
        }
    }

    private func live(_ node: AgentNode, _ store: String, _ mount: String) async throws {
        let bind = ["mount", "--bind", store, mount]
        let disk = "iscsi://127.0.0.1/iqn.2026-11.org.example:open/0"
        @Sendable func io(_ deed: String) async throws -> CommandResult {
            try await command(node.space.inside(["qemu-io", "-f", "raw", "-c", deed, disk]), seconds: 20)
        }
        try await output(of: bind)
        try await node.withDaemon { daemon in
            let first = try await io("write -P 7 0 1M")
            #expect(first.succeeded, "\(first)")
            #expect(try await node.terminate(daemon))
        }

        // It starts before its file system is there.
        try await output(of: ["umount", mount])
        try await node.withDaemon { daemon in
            let plan = try await node.agent("plan")
            #expect(plan.code == 1 && plan.output.contains("is its file system mounted?"), "\(plan)")
            #expect(try await node.agent("apply").code == 1)
            let inquiry = try await command(node.space.inside(["iscsi-inq", disk]), seconds: 20)
            #expect(!inquiry.succeeded, "\(inquiry)")
            #expect(try await output(of: ["ls", "-A", mount]) == "")

            try await output(of: bind)
            try await node.apply()
            let read = try await io("read -P 7 0 1M")
            #expect(read.succeeded && !read.output.contains("failed"), "\(read)")

            // It goes under a daemon that serves it: the open disk goes on, and nothing is made.
            try await output(of: ["umount", "-l", mount])
            let status = try await node.agent("apply")
            #expect(status.code == 1 && status.error.contains("is its file system mounted?"), "\(status)")
            #expect(try await output(of: ["ls", "-A", mount]) == "")
            let second = try await io("write -P 8 1M 1M")
            #expect(second.succeeded, "\(second)")
            try await output(of: bind)
            try await node.apply()
            #expect(try await node.terminate(daemon))
        }
        try await output(of: ["qemu-img", "check", "\(mount)/pool/disk.qcow2"])
        let read = ["qemu-io", "-f", "qcow2", "-c", "read -P 8 1M 1M", "\(mount)/pool/disk.qcow2"]
        let said = try await output(of: read)
        #expect(!said.contains("failed"), "\(said)")
    }
}
