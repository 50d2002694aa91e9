import TestSupport
import Testing

/// A stock Debian kernel in a real VM: its network on our tap, its disk by the kernel's own initiator.
@Suite(
    .enabled(
        if: TestNamespace.isPossible && haveTools("qemu-system-x86_64", "iscsid", "iscsiadm", "busybox", "modprobe"),
        "needs root and the packages of `make setup`"))
struct GuestTests {
    private static let target = "iqn.2026-11.org.example:vm1"
    private static let answer = "staple and some more"

    private static func manifest(secretFile: String, answerFile: String) -> String {
        """
        switches: { blue: {} }
        routers:
          gw: { interfaces: { blue: { addresses: [10.10.0.1/24, "fd00:10::1/64"] } } }
        pools: { fast: {} }
        volumes: { disk: { pool: fast, size: 256MiB } }
        targets:
          \(target):
            portals: ["10.10.0.1:3260"]
            luns: { 0: disk }
            access:
              initiators: ["\(DiskNode.initiator)"]
              chap: { user: vm1, secretFile: \(secretFile) }
              mutual: { user: node1, secretFile: \(answerFile) }
        vms:
          vm1: { nics: [ { switch: blue, address: [10.10.0.10, "fd00:10::10"], mac: "52:54:00:00:00:10" } ] }

        """
    }

    @Test(.timeLimit(.minutes(10)))
    func aGuestUsesItsNetworkAndItsDiskWhileDaemonsComeAndGo() async throws {
        try await output(of: ["\(AgentNode.checkout)/guest/build"], seconds: 240)
        try await AgentNode.with("{}") { node in
            let secret = try node.directory.write(DiskNode.password, to: "secret", mode: 0o600)
            let answer = try node.directory.write(Self.answer, to: "answer", mode: 0o600)
            try node.write(Self.manifest(secretFile: secret, answerFile: answer))
            try await node.apply()
            let guest = Guest(node: node)
            do {
                try await guest.start(tap: "vm1-net0", mac: "52:54:00:00:00:10")
                try await scenario(guest, node)
                await guest.stop()
            } catch {
                let console = try? text(ofFile: node.directory.file("guests/vm1/console"))
                let daemon = try? text(ofFile: node.log)
                await guest.stop()
                Issue.record("the guest's console:\n\(console ?? "")\nthe daemons:\n\(daemon ?? "")")
                throw error
            }
            for image in try await output(of: ["find", node.state, "-name", "*.qcow2"]).split(separator: "\n") {
                try await output(of: ["qemu-img", "check", String(image)])
            }
        }
    }

    private func scenario(_ guest: Guest, _ node: AgentNode) async throws {
        let first = try await node.withDaemon { daemon in
            try await network(guest)
            try await login(guest)
            try await disk(guest)
            // What is under way when the daemon ends must be whole when the next one has come.
            try await guest.run(
                """
                mount /dev/sda /mnt
                dd if=/dev/urandom of=/run/source bs=64k count=256 2>/dev/null
                (dd if=/run/source of=/mnt/copy bs=64k conv=fsync; echo $? >/run/copied) >/dev/null 2>&1 &
                """)
            return try await node.terminate(daemon)
        }
        #expect(first.value && first.end == .exited(0))
        try await node.withDaemon { _ in
            try await guest.run(
                """
                until [ -e /run/copied ]; do sleep 0.1; done
                [ "$(cat /run/copied)" = 0 ] && umount /mnt && echo 3 >/proc/sys/vm/drop_caches || exit 1
                mount -o ro /dev/sda /mnt && cmp /run/source /mnt/copy && umount /mnt || exit 2
                iscsiadm -m node -T \(Self.target) --logout
                """)
        }
    }

    private func network(_ guest: Guest) async throws {
        try await guest.run(
            """
            ip link set eth0 up; ip address add 10.10.0.10/24 dev eth0; ip address add fd00:10::10/64 dev eth0 nodad
            ping -c 2 -W 5 10.10.0.1 && ping -c 2 -W 5 fd00:10::1
            """)
        let forged = try await guest.attempt(
            "ip address add 10.10.0.66/24 dev eth0; ping -c 2 -i 0.2 -W 1 -I 10.10.0.66 10.10.0.1")
        #expect(forged.output.contains("100% packet loss"), "\(forged)")
    }

    /// CHAP both ways: a wrong secret is refused by the target, a wrong answer by the initiator.
    private func login(_ guest: Guest) async throws {
        try await guest.run(
            """
            echo InitiatorName=\(DiskNode.initiator) >/etc/iscsi/initiatorname.iscsi
            iscsid
            iscsiadm -m discovery -t st -p 10.10.0.1
            for pair in authmethod=CHAP username=vm1 username_in=node1; do
                iscsiadm -m node -T \(Self.target) -o update -n node.session.auth.${pair%%=*} -v "${pair#*=}"
            done
            """)
        // iscsiadm's codes: 24 where the target has refused the login, 19 where the initiator has.
        let wrongs = [("wrong-wrong-wrong", Self.answer, 24), (DiskNode.password, "wrong-wrong-wrong", 19)]
        for (secret, answer, code) in wrongs {
            let refused = try await guest.attempt(Self.login(secret, answer))
            let said = try? text(ofFile: guest.node.log)
            #expect(Int(refused.code) == code, "\(refused), the daemon:\n\(said ?? "")")
        }
        try await guest.run(Self.login(DiskNode.password, Self.answer))
    }

    private static func login(_ secret: String, _ answer: String) -> String {
        """
        iscsiadm -m node -T \(target) -o update -n node.session.auth.password -v '\(secret)'
        iscsiadm -m node -T \(target) -o update -n node.session.auth.password_in -v '\(answer)'
        iscsiadm -m node -T \(target) --login
        """
    }

    private func disk(_ guest: Guest) async throws {
        let written = try await guest.run(
            """
            until [ -b /dev/sda ]; do sleep 0.1; done
            set -e
            mkfs.ext4 -q /dev/sda && mount /dev/sda /mnt
            dd if=/dev/urandom of=/mnt/file bs=64k count=128 conv=fsync && sync
            sha256sum </mnt/file
            """)
        let reread = try await guest.run(
            """
            umount /mnt && echo 3 >/proc/sys/vm/drop_caches && mount -o ro /dev/sda /mnt && sha256sum </mnt/file
            umount /mnt
            """)
        #expect(written == reread && written.count == 68)
    }
}

/// One guest of a test, driven by guest/vm.
struct Guest: Sendable {
    let node: AgentNode

    private func words(_ verb: String, _ more: [String]) -> [String] {
        ["env", "GUEST_RUN=\(node.directory.path)/guests", "\(AgentNode.checkout)/guest/vm", verb, "vm1"] + more
    }

    func start(tap: String, mac: String) async throws {
        let network = ["--netns", node.space.name, "--tap", "\(tap),mac=\(mac)"]
        try await output(of: words("start", network + ["--boot", "180", "--life", "580"]), seconds: 200)
    }

    /// Runs a script that must succeed, and returns what it printed.
    @discardableResult
    func run(_ script: String) async throws -> String { try await output(of: words("run", [script]), seconds: 90) }

    /// Runs a script that may fail.
    func attempt(_ script: String) async throws -> CommandResult {
        try await command(words("run", [script]), seconds: 90)
    }

    func stop() async { _ = try? await command(words("stop", [])) }
}
