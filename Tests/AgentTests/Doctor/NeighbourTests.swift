import SystemPackage
import TestSupport
import Testing

@testable import sdagent

/// NetworkManager, networkd and others, by the files that they leave under / of a folder.
@Suite("The doctor and other services")
struct NeighbourTests {
    private func with(
        _ files: [String: String], _ body: ([Finding]) throws -> Void
    ) async throws {
        try await TemporaryDirectory.with { folder in
            for (path, text) in files {
                let parent = path.split(separator: "/").dropLast().joined(separator: "/")
                try await output(of: ["mkdir", "-p", folder.file(parent)])
                try folder.write(text, to: path)
            }
            var sight = NodeSight.look(root: FilePath(folder.path))
            sight.isFirstNamespace = true
            sight.links = []
            sight.neighbours.remove(.libvirt)
            var here = Circumstances()
            here.bridges = ["blue"]
            here.routed = ["blue"]
            here.uplinks = ["eth1"]
            try body(NetworkServices.findings(sight, here))
        }
    }

    @Test("A node with none of them")
    func none() async throws {
        try await with([:]) { findings in
            #expect(findings.map(\.standing) == [.fine])
        }
    }

    @Test("NetworkManager is kept off what its files name, by name or by pattern")
    func networkManager() async throws {
        let sign = ["run/NetworkManager/pid": ""]
        try await with(sign) { findings in
            #expect(findings.map(\.standing) == [.mend])
            #expect(
                findings[0].remedy == """
                    printf '[keyfile]\\nunmanaged-devices+=interface-name:eth1;interface-name:blue\\n' > \
                    /etc/NetworkManager/conf.d/90-sdagent.conf && nmcli general reload
                    """)
        }
        let byName = "[keyfile]\nunmanaged-devices+=interface-name:eth1;interface-name:blue\n"
        try await with(sign.merging(["etc/NetworkManager/conf.d/90-sdagent.conf": byName]) { $1 }) { findings in
            #expect(findings.map(\.standing) == [.fine])
        }
        let byPattern = "[keyfile]\nunmanaged-devices = interface-name:e*\n"
        try await with(sign.merging(["etc/NetworkManager/NetworkManager.conf": byPattern]) { $1 }) { findings in
            #expect(findings.map(\.standing) == [.note])
            #expect(findings[0].what.hasSuffix("keeps it off blue"))
        }
    }

    @Test("networkd leaves routers and links alone where its files say so; what its remedies write is enough")
    func networkd() async throws {
        let sign = ["run/systemd/netif/state": ""]
        try await with(sign) { findings in #expect(findings.map(\.standing) == [.mend]) }
        let routes = "[Network]\nManageForeignRoutes=no\nManageForeignRoutingPolicyRules=no\n"
        let mended = sign.merging(["etc/systemd/networkd.conf.d/90-sdagent.conf": routes]) { $1 }
        try await with(mended) { findings in #expect(findings.map(\.standing) == [.fine]) }
        let all = "[Match]\nName=*\n[Network]\nDHCP=yes\n"
        let greedy = mended.merging(["usr/lib/systemd/network/80-all.network": all]) { $1 }
        try await with(greedy) { findings in
            #expect(findings.map(\.standing) == [.fine, .mend])
            #expect(findings[1].remedy?.contains("Name=eth1 blue\\n[Link]\\nUnmanaged=yes") == true)
        }
        let unmanaged = "[Match]\nName=eth1 blue\n[Link]\nUnmanaged=yes\n"
        let kept = greedy.merging(["etc/systemd/network/00-sdagent.network": unmanaged]) { $1 }
        try await with(kept) { findings in #expect(findings.map(\.standing) == [.fine]) }
    }

    @Test(
        "A file of networkd takes links by name, type and kind; hardware is none of a bridge's",
        arguments: [
            ("[Match]\nKind=bridge\n", ["blue"]), ("[Match]\nType=ether\n[Network]\nDHCP=yes\n", ["eth1"]),
            ("[Match]\nType=!loopback\n", ["eth1", "blue"]), ("[Match]\nName=!eth* lo\n", ["blue"]),
            ("[Match]\nName=eth* blue\nName=\n", []), ("[Match]\n", []), ("[Network]\nDHCP=yes\n", []),
            ("[Match]\nMACAddress=02:00:00:00:00:01\n", []), ("[Match]\nDriver=virtio_net\nName=*\n", ["eth1"]),
            ("[Match]\nName=eth1\n[Link]\nUnmanaged=on\n", []), ("# [Match]\n#Name=*\n", []),
        ])
    func networkdFiles(_ text: String, _ taken: [String]) async throws {
        let file = NetworkdFile("/a.network", text)
        let links: [(String, NetworkdFile.Link)] = [("eth1", .port("eth1")), ("blue", .bridge("blue"))]
        #expect(file.isUnmanaged || links.filter { file.takes($0.1) }.map(\.0) == taken)
        let files = [
            "run/systemd/netif/state": "", "etc/systemd/network/10-a.network": text,
            "etc/systemd/networkd.conf": "[Network]\nManageForeignRoutes=no\nManageForeignRoutingPolicyRules=no\n",
        ]
        try await with(files) { findings in
            #expect(
                findings.map(\.what).filter { $0.contains("for its own") }
                    == taken.prefix(1).map { "systemd-networkd takes \($0) for its own" })
        }
    }

    @Test("ufw that is on, and none of whose chains can be seen, is told of")
    func oldTables() async throws {
        try await with(["etc/ufw/ufw.conf": "# on\nENABLED=yes\nLOGLEVEL=low\n"]) { findings in
            #expect(findings.map(\.standing) == [.note])
        }
        try await with(["etc/ufw/ufw.conf": "ENABLED=no\n"]) { findings in
            #expect(findings.map(\.standing) == [.fine])
        }
    }
}
