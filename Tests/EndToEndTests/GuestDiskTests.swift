import TestSupport
import Testing

/// Linux's own initiator in a guest, on what no initiator of ours can prove: digests as its kernel computes them, and
/// what it does when a LUN leads to another volume.
@Suite(
    .enabled(
        if: TestNamespace.isPossible && haveTools("qemu-system-x86_64", "iscsid", "iscsiadm", "busybox", "modprobe"),
        "needs root and the packages of `make setup`"))
struct GuestDiskTests {
    private static let target = "iqn.2026-11.org.example:vm1"

    private static func manifest(_ units: String) -> String {
        """
        switches: { blue: {} }
        routers: { gw: { interfaces: { blue: { addresses: [10.10.0.1/24] } } } }
        pools: { fast: {} }
        volumes: { one: { pool: fast, size: 64MiB }, two: { pool: fast, size: 96MiB } }
        targets:
          \(target): { portals: ["10.10.0.1:3260"], luns: { \(units) } }
        vms:
          vm1: { nics: [ { switch: blue, address: 10.10.0.10, mac: "52:54:00:00:00:10" } ] }

        """
    }

    @Test(.timeLimit(.minutes(5)))
    func aGuestSendsAndChecksDigestsAndKeepsItsDisksApart() async throws {
        try await output(of: ["\(AgentNode.checkout)/guest/build"], seconds: 240)
        try await AgentNode.with(Self.manifest("0: one")) { node in
            let guest = Guest(node: node)
            do {
                try await node.withDaemon { _ in
                    try await guest.start(tap: "vm1-net0", mac: "52:54:00:00:00:10")
                    try await digests(guest)
                    try await change(guest, node)
                }
                await guest.stop()
            } catch {
                let console = try? text(ofFile: node.directory.file("guests/vm1/console"))
                let daemon = try? text(ofFile: node.log)
                await guest.stop()
                Issue.record("the guest's console:\n\(console ?? "")\nthe daemon:\n\(daemon ?? "")")
                throw error
            }
        }
    }

    /// Both digests, and data of many lengths both ways.
    private func digests(_ guest: Guest) async throws {
        let said = try await guest.run(
            """
            ip link set eth0 up; ip address add 10.10.0.10/24 dev eth0
            echo InitiatorName=iqn.2026-11.org.example:guest >/etc/iscsi/initiatorname.iscsi
            iscsid
            iscsiadm -m discovery -t st -p 10.10.0.1 >/dev/null
            for digest in HeaderDigest DataDigest; do
                iscsiadm -m node -T \(Self.target) -o update -n node.conn[0].iscsi.$digest -v CRC32C
            done
            iscsiadm -m node -T \(Self.target) --login >/dev/null
            until [ -b /dev/sda ]; do sleep 0.1; done
            cd /sys/class/iscsi_connection && cat connection*/header_digest connection*/data_digest; cd /
            dd if=/dev/urandom of=/run/source bs=1M count=40 2>/dev/null
            for size in 512 4096 61440 262144 1048576; do
                count=$((size > 4096 ? 20 : 200))
                dd if=/run/source of=/dev/sda bs=$size oflag=direct count=$count 2>/dev/null || exit 1
                echo 3 >/proc/sys/vm/drop_caches
                dd if=/dev/sda of=/run/back bs=$size iflag=direct count=$count 2>/dev/null || exit 2
                cmp -n $(stat -c %s /run/back) /run/source /run/back || exit 3
            done
            """)
        #expect(said.split(separator: "\n").prefix(2) == ["1", "1"])
    }

    /// LUN 0 leads to another volume: a read of the disk that the guest knows fails, and a new login finds the other.
    private func change(_ guest: Guest, _ node: AgentNode) async throws {
        try await guest.run("mkfs.ext4 -q /dev/sda && mount /dev/sda /mnt && echo hello >/mnt/file && sync")
        try node.write(Self.manifest("0: two"))
        let isTold = try await eventually(within: 20) {
            try text(ofFile: node.log).contains("is not the disk that it knows")
        }
        #expect(isTold)
        let read = try await guest.attempt(
            "dd if=/dev/sda of=/dev/null bs=4k count=1 iflag=direct; echo 3 >/proc/sys/vm/drop_caches; cat /mnt/file")
        #expect(read.code != 0, "\(read)")
        let size = try await guest.run(
            """
            umount -l /mnt; iscsiadm -m node -T \(Self.target) --logout >/dev/null
            until [ ! -b /dev/sda ]; do sleep 0.1; done
            iscsiadm -m node -T \(Self.target) --login >/dev/null
            until [ -b /dev/sda ]; do sleep 0.1; done
            dd if=/dev/sda of=/dev/null bs=1M iflag=direct 2>/dev/null && cat /sys/block/sda/size
            """)
        #expect(size.split(separator: "\n").last == "196608")
    }
}
