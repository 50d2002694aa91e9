import Glibc
import TestSupport
import Testing

/// Targets as their peers see them: libiscsi's tools and QEMU, honest, lost, hostile, and cut off.
@Suite(.enabled(if: TestNamespace.isPossible && haveTools("iscsi-ls", "iscsi-inq", "qemu-img", "qemu-io")))
struct DiskTests {
    @Test func discoveryNamesTheTargetsAndTheirDisks() async throws {
        try await DiskNode.with { disks, _ in
            let listing = try await disks.listing(login: "vm1%\(DiskNode.password)@")
            #expect(listing.output.contains("iqn.2026-11.org.example:open"), "\(listing)")
            #expect(listing.output.contains("iqn.2026-11.org.example:secret"), "\(listing)")
            let inquiry = try await output(of: disks.inside(["iscsi-inq", "-i", DiskNode.initiator, disks.url()]))
            #expect(inquiry.contains("DIRECT_ACCESS") && inquiry.contains("Version:"), "\(inquiry)")
        }
    }

    @Test func whatIsConvertedOntoADiskComparesEqual() async throws {
        try await DiskNode.with { disks, daemon in
            let source = disks.node.directory.file("source.raw")
            try await output(of: ["truncate", "-s", "256M", source])
            try await output(of: [
                "dd", "if=/dev/urandom", "of=\(source)", "bs=1M", "count=40", "seek=9", "conv=notrunc",
            ])
            let disk = disks.json()
            try await output(of: disks.inside(["qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", source, disk]))
            try await output(of: disks.inside(["qemu-img", "compare", "-f", "raw", "-F", "raw", source, disk]))
            #expect(try await disks.node.terminate(daemon))
            let image = try await disks.image("one")
            try await output(of: ["qemu-img", "check", image])
            try await output(of: ["qemu-img", "compare", "-f", "raw", "-F", "qcow2", source, image])
        }
    }

    @Test func aFullPoolIsShownUntilThereIsRoom() async throws {
        try await AgentNode.with("{}") { node in
            let pool = node.directory.file("pool")
            try await output(of: ["mkdir", pool])
            try await output(of: ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", pool])
            do {
                try await fill(DiskNode(node: node), pool)
            } catch {
                Issue.record(error)
            }
            try await output(of: ["umount", "-l", pool])
        }
    }

    private func fill(_ disks: DiskNode, _ pool: String) async throws {
        let node = disks.node
        try node.write(
            """
            pools: { fast: { path: \(pool) } }
            volumes: { one: { pool: fast, size: 256MiB } }
            targets:
              iqn.2026-11.org.example:open: { portals: ["127.0.0.1:3260"], luns: { 0: one } }

            """)
        try await node.withDaemon { _ in
            #expect(try await node.agent("status").code == 0)
            func write() async throws -> CommandResult {
                try await command(
                    disks.inside(["qemu-io", "--image-opts", "-c", "write -P 7 1M 8M", disks.options()]), seconds: 30)
            }
            let refused = try await write()
            #expect(refused.error.contains("No space left") || refused.output.contains("No space left"), "\(refused)")
            // The disk says at once that it finds no room; without that it would be 30 s.
            let words = "full: less than 1MiB of 4MiB is free, and a volume is refused new clusters; make room"
            let isShown = try await eventually(within: 10) { try await node.agent("status").output.contains(words) }
            let status = try await node.agent("status")
            #expect(isShown && status.code == 1, "\(status)")
            let plan = try await node.agent("plan")
            #expect(plan.output.contains("! pool/fast  degraded: \(words)") && plan.code == 0, "\(plan)")
            let said = try text(ofFile: node.log)
            #expect(said.contains("volume/one: ") && said.contains("\(pool)/one.qcow2"), "\(said)")

            try await output(of: ["mount", "-o", "remount,size=64m", pool])
            let done = try await write()
            #expect(done.output.contains("wrote 8388608"), "\(done)")
            let isOver = try await eventually(within: 10) { try await node.agent("status").code == 0 }
            #expect(isOver)
        }
    }

    @Test func onlyWhoIsNamedMayLogIn() async throws {
        try await DiskNode.with { disks, _ in
            let stranger = try await command(
                disks.inside(["iscsi-inq", "-i", "iqn.2026-11.org.example:stranger", disks.url()]), seconds: 20)
            #expect(stranger.code != 0, "\(stranger)")
            let welcome = try await command(
                disks.inside(["iscsi-inq", "-i", DiskNode.initiator, disks.url()]), seconds: 20)
            #expect(welcome.code == 0, "\(welcome)")
        }
    }

    @Test(arguments: ["", "vm1%wrong-wrong-wrong@", "eve%correct horse battery@"])
    func aWrongSecretIsRefusedAndOthersGoOn(login: String) async throws {
        try await DiskNode.with { disks, _ in
            let refused = try await command(
                disks.inside(["iscsi-inq", "-i", DiskNode.initiator, disks.url("secret", login: login)]), seconds: 20)
            #expect(refused.code != 0, "\(refused)")
            let right = disks.url("secret", login: "vm1%\(DiskNode.password)@")
            try await output(of: disks.inside(["iscsi-inq", "-i", DiskNode.initiator, right]), seconds: 20)
            let said = try text(ofFile: disks.node.log)
            #expect(!said.contains("horse"), "a log holds no secret")
        }
    }

    @Test func garbageEndsItsOwnConnectionOnly() async throws {
        try await DiskNode.with { disks, daemon in
            let load = disks.inside([
                "qemu-img", "bench", "-w", "-c", "3000", "-d", "4", "-s", "4k", "-S", "68k", "--image-opts",
                disks.options(),
            ])
            async let honest = command(load, seconds: 60)
            let login =
                "\\x43\\x87\\x00\\x00\\x00\\x00\\x00\\x05" + String(repeating: "\\x00", count: 40)
                + "a=b=\\xff\\x00\\x00\\x00"
            let floods = [
                "head -c 65536 /dev/urandom", "head -c 65536 /dev/zero", "yes", "printf 'GET / HTTP/1.0\\r\\n\\r\\n'",
                "printf '\(login)'", "printf '\\x43\\x87\\x00\\x00\\xff\\xff\\xff\\xff'; sleep 1", "true",
            ]
            for flood in floods + floods {
                _ = try await command(
                    disks.inside(["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/3260; (\(flood)) | head -c 100000 >&3"]),
                    seconds: 3)
            }
            let result = try await honest
            #expect(result.code == 0, "\(result)")
            #expect(try await disks.listing(login: "vm1%\(DiskNode.password)@").code == 0)
            #expect(try await !daemon.isGone(within: 0))
        }
    }

    @Test func manySessionsOnTwoDisksAtOnce() async throws {
        try await DiskNode.with { disks, daemon in
            let results = try await withThrowingTaskGroup(of: CommandResult.self) { group in
                for number in 0..<8 {
                    let isWriter = number % 4 < 2
                    let words = disks.inside(
                        ["qemu-img", "bench", "-c", "1500", "-d", "8", "-s", "\(4096 << (number % 3))"]
                            + (isWriter ? ["-w", "-o", "\(number << 20)"] : [])
                            + ["--image-opts", disks.options(lun: number % 2)])
                    group.addTask { try await command(words, seconds: 60) }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            for result in results { #expect(result.code == 0, "\(result)") }
            #expect(try await disks.node.terminate(daemon))
            for volume in ["one", "two"] { try await output(of: ["qemu-img", "check", disks.image(volume)]) }
        }
    }

    @Test func aCloneReadsAsItsImageAndLeavesItAlone() async throws {
        try await AgentNode.with("{}") { node in
            let source = node.directory.file("debian.raw")
            try await output(of: ["truncate", "-s", "96M", source])
            try await output(
                of: ["dd", "if=/dev/urandom", "of=\(source)", "bs=1M", "count=20", "seek=3", "conv=notrunc"])
            try node.write(
                """
                pools: { fast: {} }
                images: { debian: { pool: fast, source: debian.raw } }
                volumes:
                  web: { pool: fast, image: debian, size: 96MiB }
                  db: { pool: fast, image: debian, size: 128MiB }
                targets:
                  iqn.2026-11.org.example:open: { portals: ["127.0.0.1:3260"], luns: { 0: web, 1: db } }

                """)
            let disks = DiskNode(node: node)
            let end = try await node.withDaemon { daemon in
                let compare = ["qemu-img", "compare", "-f", "raw", "-F", "raw", source]
                try await output(of: disks.inside(compare + [disks.json()]))
                try await output(of: disks.inside(compare + [disks.json(lun: 1)]))
                try await output(
                    of: disks.inside(
                        ["qemu-io", "--image-opts", "-c", "write -P 7 4097k 9k", "-c", "flush", disks.options()]))
                let changed = try await command(disks.inside(compare + [disks.json()]))
                #expect(changed.code == 1, "the clone has its own bytes now: \(changed)")
                try await output(of: disks.inside(compare + [disks.json(lun: 1)]))
                return try await node.terminate(daemon)
            }
            #expect(end.value && end.end == .exited(0))
            let web = try await disks.image("web")
            try await output(of: ["qemu-img", "check", web])
            #expect(try await output(of: ["qemu-img", "info", web]).contains("backing file:"))
            let db = try await disks.image("db")
            try await output(of: ["qemu-img", "compare", "-f", "raw", "-F", "qcow2", source, db])
        }
    }

    @Test func takingATargetOutEndsItsSessionsAndKeepsTheOther() async throws {
        try await DiskNode.with { disks, _ in
            let text = try text(ofFile: disks.node.manifest)
            let cut = text.split(separator: "\n").prefix { !$0.contains("example:secret") }.joined(separator: "\n")
            try disks.node.write(cut + "\n")
            #expect(
                try await eventually(within: 15) {
                    let listing = try await disks.listing()
                    return listing.code == 0 && !listing.output.contains("example:secret")
                })
            try await output(of: disks.inside(["iscsi-inq", "-i", DiskNode.initiator, disks.url(lun: 1)]), seconds: 20)
        }
    }
}
