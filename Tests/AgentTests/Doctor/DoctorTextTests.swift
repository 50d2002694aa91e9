import Capabilities
import Netlink
import Reconcile
import Rules
import Syscall
import SystemPackage
import TestSupport
import Testing

@testable import sdagent

@Suite("What the doctor says")
struct DoctorTextTests {
    /// A Debian 12 node with Docker on it, and a manifest of two switches.
    private static let document: DoctorDocument = {
        let capabilities = Capabilities(
            release: "6.1.0-18-amd64",
            raw: [
                .macLimit: .missing(option: "CONFIG_BRIDGE"), .tablePersistence: .missing(option: "CONFIG_NF_TABLES"),
                .bond: .missing(option: "CONFIG_BONDING"), .bridgeNetfilter: .unloaded(module: "br_netfilter"),
                .packetLog: .unknown(.failed("bind to the packet log: EIO")),
            ])
        var here = Circumstances()
        here.hasManifest = true
        here.bridges = ["blue", "red"]
        here.routed = ["blue"]
        here.legs = [Circumstances.Legs(bridges4: ["blue"], bridges6: ["blue"])]
        here.uplinks = ["eth1"]
        here.neighbours = 900
        here.translates = true
        here.speaksIPv6 = true
        here.pools = ["fast": "/pools/fast"]
        here.promised = ["fast": 3 << 40]
        here.volumes = 40
        here.portals = ["127.0.0.1:3260"]
        here.loopbackPortals = 1
        let findings =
            KernelFindings.all(capabilities) + ForwardFilters.findings(sight, here, capabilities)
            + NodeSettings.findings(sight, here) + NetworkServices.findings(sight, here)
            + StorageFindings.findings(storage, sight.settings, here, capabilities)
            + [
                ManifestFindings.finding(
                    ManifestFindings.Need(
                        capability: .bond, resources: (1...5).map { ResourceID("uplink", "bond\($0)") }), capabilities),
                ManifestFindings.finding(
                    ManifestFindings.Need(capability: .macLimit, resources: [ResourceID("switch", "blue")]),
                    capabilities),
                ManifestFindings.finding(
                    ManifestFindings.Need(capability: .tap, resources: [ResourceID("nic", "vm1/net0")]), capabilities),
            ]
        return DoctorDocument(kernel: capabilities.release, findings: findings)
    }()

    private static let sight: NodeSight = {
        var sight = NodeSight()
        sight.settings = [
            "net/bridge/bridge-nf-call-iptables": 1, "net/ipv4/conf/all/rp_filter": 1,
            "net/ipv4/conf/all/proxy_arp": 1, "net/ipv4/conf/all/route_localnet": 1,
            "net/ipv6/conf/all/disable_ipv6": 1, "net/netfilter/nf_conntrack_max": 1000,
            "net/netfilter/nf_conntrack_count": 990, "net/netfilter/nf_conntrack_tcp_be_liberal": 0,
            "net/ipv4/neigh/default/gc_thresh3": 1024, "fs/aio-nr": 65000, "fs/aio-max-nr": 65536,
        ]
        let chains = [
            NFRulesetChain(.ip, "filter", "FORWARD", hook: .init(number: 2, priority: 0, accepts: false)),
            NFRulesetChain(.ip, "filter", "DOCKER-USER"),
            NFRulesetChain(.ip6, "filter", "FORWARD", hook: .init(number: 2, priority: 0, accepts: false)),
            NFRulesetChain(.ip6, "filter", "ufw6-before-forward"),
            NFRulesetChain(.inet, "firewalld", "filter_FORWARD", hook: .init(number: 2, priority: 10, accepts: true)),
            NFRulesetChain(.bridge, "own", "f", hook: .init(number: 2, priority: 0, accepts: false)),
            NFRulesetChain(.inet, "fine", "f", hook: .init(number: 2, priority: 0, accepts: true)),
        ]
        sight.chains = chains
        sight.foreign = ForeignFilters(
            NFForeignRules(
                chains: chains,
                rules: [
                    NFForeignRules.TableName(.inet, "firewalld"): [NFRuleOutline(chain: "filter_FORWARD", .refuse)]
                ]), sees4: true)
        sight.legacyTables = ["ip nat", "ip filter"]
        sight.neighbours = [.networkManager, .networkd, .docker, .ufw]
        sight.configurations = [
            "/etc/systemd/network/10-all.network": "[Match]\nName=e* br0\n\n[Network]\nDHCP=yes\n",
            "/etc/NetworkManager/conf.d/10-a.conf": "[keyfile]\nunmanaged-devices=interface-name:b*;mac:00:11\n",
        ]
        return sight
    }()

    private static let storage = StorageFindings.Sight(
        places: [
            .init(
                owner: "the state", path: "/var/lib/sdagent", existing: "/var/lib",
                system: .success(FileSystem(name: "tmpfs", size: 1 << 30, free: 1 << 20)),
                abilities: .success(.init(clones: .notSupported, direct: .invalidArgument))),
            .init(
                owner: "pool 'fast'", path: "/pools/fast", existing: "/pools/fast",
                system: .success(FileSystem(name: "xfs", size: 1 << 40, free: 1 << 39)), abilities: .success(.init())),
        ], limits: ["Max open files": 256], isDaemon: true, hasInitiator: false)

    @Test("One page, what is fine counted", arguments: [false, true])
    func text(_ all: Bool) throws {
        let text = DoctorText(all: all).render(Self.document)
        let difference = try Golden.difference(text, from: all ? "Golden/all.txt" : "Golden/short.txt")
        #expect(difference == nil, "\(difference ?? "")")
    }

    @Test("The JSON keeps its form")
    func json() throws {
        let text = try JSONText.pretty(Self.document)
        let difference = try Golden.difference(text, from: "Golden/document.json")
        #expect(difference == nil, "\(difference ?? "")")
        #expect(try JSONText.decode(DoctorDocument.self, Array(text.utf8)) == Self.document)
    }

    @Test("With nothing to mend it says so in its last line, and exits with 0")
    func well() {
        let fine = DoctorDocument(
            kernel: "6.12", findings: [Finding(.kernel, .fine, "a"), Finding(.node, .note, "b", "c", remedy: "d")])
        #expect(fine.exitCode == 0)
        #expect(
            DoctorText().render(fine) == """
                This kernel (Linux 6.12)
                  1 thing looked at: fine

                This node
                  i b: c
                      d

                Nothing to mend; 1 to know.

                """)
        let unsure = DoctorDocument(kernel: "6.12", findings: [Finding(.node, .unknown, "a")])
        #expect(unsure.exitCode == 1)
        #expect(DoctorText().render(unsure).hasSuffix("\nNot all could be looked at; 1 not looked at.\n"))
    }

    @Test("A foreign name cannot begin a line of the page")
    func hostile() {
        let finding = Finding(.node, .mend, "a\n! b\u{1b}[2J", remedy: "rm\n-rf")
        let text = DoctorText().render(DoctorDocument(kernel: "6\n.1", findings: [finding]))
        #expect(!text.contains("\u{1b}"))
        #expect(text.split(separator: "\n").count == 4)
    }
}
