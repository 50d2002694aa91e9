import Netlink
import Rules
import Syscall
import SystemPackage
import VSwitch

/// The node as the doctor sees it: settings, other people's chains, who else is at work. A value; it judges nothing.
struct NodeSight: Sendable {
    /// Somebody who manages networks or filters packets beside us.
    enum Neighbour: String, CaseIterable, Sendable {
        case networkManager = "NetworkManager"
        case networkd = "systemd-networkd"
        case docker = "Docker"
        case libvirt = "libvirt"
        case ufw
        case firewalld
    }

    /// Whether this is the network namespace that the node has started with; services of the node manage no other.
    var isFirstNamespace = true
    /// Numbers under /proc/sys, by path.
    var settings: [String: Int] = [:]
    /// The chains of all tables but ours; nil where they cannot be listed.
    var chains: [NFRulesetChain]?
    /// Why they cannot be listed; empty where nftables is not there at all.
    var chainsFault = ""
    /// Those of them that drop what passes through the node although no rule says so; nil where they cannot be listed.
    var foreign: ForeignFilters?
    /// Tables of the old iptables that are in force and cannot be read.
    var legacyTables: [String] = []
    var links: [Link] = []
    var neighbours: Set<Neighbour> = []
    /// The texts of the neighbours' configuration files, by path.
    var configurations: [String: String] = [:]
}

extension NodeSight {
    /// Settings that are read once.
    private static let paths = [
        "net/bridge/bridge-nf-call-iptables", "net/bridge/bridge-nf-call-ip6tables",
        "net/bridge/bridge-nf-call-arptables", "net/ipv4/ip_forward", "net/ipv4/conf/all/rp_filter",
        "net/ipv4/conf/all/proxy_arp", "net/ipv4/conf/all/route_localnet", "net/ipv6/conf/all/proxy_ndp",
        "net/ipv6/conf/all/disable_ipv6", "net/netfilter/nf_conntrack_max", "net/netfilter/nf_conntrack_count",
        "net/netfilter/nf_conntrack_tcp_be_liberal", "net/ipv4/neigh/default/gc_thresh3",
        "net/ipv6/neigh/default/gc_thresh3", "fs/aio-nr", "fs/aio-max-nr", "fs/file-max",
    ]

    /// Looks at the network namespace of this process, and at the node's files.
    ///
    /// - Parameter root: in front of every path of a file; a test has a folder of its own.
    static func look(root: FilePath = "/") -> NodeSight {
        var sight = NodeSight()
        sight.isFirstNamespace = isFirst()
        for path in paths { sight.settings[path] = number(path) }
        sight.lookAtLinks()
        sight.lookAtRules()
        sight.lookAtNeighbours(root)
        return sight
    }

    private static func number(_ path: String) -> Int? {
        do throws(Errno) { return Int(try Sysctl.read(path)) } catch { return nil }
    }

    /// Where process 1 cannot be looked at, ours counts as the first.
    private static func isFirst() -> Bool {
        do throws(Errno) {
            let own = try NetworkNamespace("/proc/self/ns/net").identity()
            return try NetworkNamespace("/proc/1/ns/net").identity() == own
        } catch {
            return true
        }
    }

    private mutating func lookAtLinks() {
        do throws(NetlinkError) {
            var socket = try NetlinkSocket(.route)
            links = try socket.links()
        } catch {
            links = []
        }
        if links.contains(where: { $0.name.description == "docker0" }) { neighbours.insert(.docker) }
        if links.contains(where: { $0.name.description == "virbr0" }) { neighbours.insert(.libvirt) }
    }

    /// Reads what links have of their own; those that are not there yet have nothing.
    mutating func lookAtSettings(of links: [String]) {
        for link in links {
            for name in ["rp_filter", "proxy_arp"] {
                let path = "net/ipv4/conf/\(link)/\(name)"
                settings[path] = Self.number(path)
            }
        }
    }

    private mutating func lookAtRules() {
        do throws(NFError) {
            var socket: NetlinkSocket
            do throws(NetlinkError) { socket = try NetlinkSocket(.netfilter) } catch { throw .netlink(error) }
            var rules = try socket.nftablesForeign(ours: ForeignFilters.prefix)
            for table in lookAtOldTables() { rules.add(table) }
            chains = rules.chains
            foreign = ForeignFilters(
                rules, sees4: settings["net/bridge/bridge-nf-call-iptables"] == 1,
                sees6: settings["net/bridge/bridge-nf-call-ip6tables"] == 1)
        } catch {
            chainsFault = "\(error)"
        }
    }

    /// Tables of the old iptables; those that cannot be read are only named.
    private mutating func lookAtOldTables() -> [OldTable] {
        var tables: [OldTable] = []
        for isIPv4 in [true, false] {
            do throws(Errno) {
                if let table = try OldTable.read("filter", isIPv4: isIPv4) { tables.append(table) }
            } catch {
                legacyTables.append(isIPv4 ? "ip filter" : "ip6 filter")
            }
        }
        return tables
    }

    private mutating func lookAtNeighbours(_ root: FilePath) {
        guard isFirstNamespace || root != "/" else { return }
        let signs: [(Neighbour, String)] = [
            (.networkManager, "run/NetworkManager"), (.networkd, "run/systemd/netif/state"),
            (.docker, "run/docker.sock"), (.firewalld, "run/firewalld"),
        ]
        for (neighbour, path) in signs where Self.isThere(root.appending(path)) { neighbours.insert(neighbour) }
        let folders = [
            "etc/NetworkManager/conf.d", "run/NetworkManager/conf.d", "usr/lib/NetworkManager/conf.d",
            "etc/systemd/networkd.conf.d", "run/systemd/networkd.conf.d", "usr/lib/systemd/networkd.conf.d",
            "etc/systemd/network", "run/systemd/network", "usr/lib/systemd/network",
        ]
        let files = ["etc/NetworkManager/NetworkManager.conf", "etc/systemd/networkd.conf", "etc/ufw/ufw.conf"]
        for path in files + folders.flatMap({ folder in Self.names(root.appending(folder)).map { "\(folder)/\($0)" } })
        {
            configurations["/" + path] = Self.text(root.appending(path).string)
        }
        let isOn = configurations["/etc/ufw/ufw.conf"].map { $0.contains("\nENABLED=yes") } ?? false
        if isOn { neighbours.insert(.ufw) }
    }

    private static func isThere(_ path: FilePath) -> Bool {
        do throws(Errno) { return try File.status(of: path) != nil } catch { return false }
    }

    private static func names(_ folder: FilePath) -> [String] {
        do throws(Errno) { return try File.names(in: folder) } catch { return [] }
    }

    /// A text of at most 256 KiB; files of /proc have no length, so it is read until it ends.
    static func text(_ path: String) -> String? {
        do throws(Errno) {
            let file = try File.open(FilePath(path), .read)
            return String(decoding: try File.read(file, count: 256 << 10, at: 0), as: UTF8.self)
        } catch {
            return nil
        }
    }
}
