import Testing

/// Somebody else who filters packets and has guests of his own on the same node: what his program writes into the
/// kernel, as its own listing shows it, and what of his has to go on.
///
/// His guests `one` and `two` are on a bridge of his; `outside` is behind eth0, where the node is 198.51.100.1.
struct Neighbour: Sendable, CustomTestStringConvertible {
    var name: String
    let bridge: String
    /// The first three numbers of his guests' addresses: the bridge has .1, the guests .2 and .3.
    let network: String
    /// What br_netfilter shows to everybody's rules, if he has a say in it.
    var callsRules: Bool?
    /// By the tool that reads them, in this order.
    var rules: [(tool: [String], text: String)]
    /// What goes on, and what stays shut: who reaches what.
    let open: [Way]
    var shut: [Way] = []
    /// Whether it drops what is ours, until he is told of us.
    let isInTheWay: Bool
    /// Words of a command that `status` names, and of what that command writes here: its program may not be installed.
    var translations: [(from: String, to: String)] = []
    /// What prints his rules, without counters.
    var listing = "for t in ip ip6; do ${t}tables-nft-save | sed '/^#/d; s/ \\[.*//'; done"

    var testDescription: String { name }

    /// A TCP connection to an echo.
    struct Way: Sendable, Hashable, CustomStringConvertible {
        let from: String
        let to: String

        init(_ from: String, _ to: String) { (self.from, self.to) = (from, to) }

        var description: String { "\(from) → \(to)" }
    }

    static let all = [docker, ufw, libvirt, firewalld, kubernetes, reversePath, oldDocker]
}

extension Neighbour {
    private static let iptables = ["iptables-nft-restore"]
    private static let ip6tables = ["ip6tables-nft-restore"]

    /// Docker 20.10 with one published port. It sets bridge-nf-call-iptables.
    private static let docker = Neighbour(
        name: "Docker", bridge: "docker0", network: "172.17.0", callsRules: true,
        rules: [
            (
                iptables,
                """
                *nat
                :DOCKER - [0:0]
                -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
                -A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
                -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
                -A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp -m tcp --dport 7000 -j MASQUERADE
                -A DOCKER -i docker0 -j RETURN
                -A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:7000
                COMMIT
                *filter
                :FORWARD DROP [0:0]
                :DOCKER - [0:0]
                :DOCKER-ISOLATION-STAGE-1 - [0:0]
                :DOCKER-ISOLATION-STAGE-2 - [0:0]
                :DOCKER-USER - [0:0]
                -A FORWARD -j DOCKER-USER
                -A FORWARD -j DOCKER-ISOLATION-STAGE-1
                -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
                -A FORWARD -o docker0 -j DOCKER
                -A FORWARD -i docker0 ! -o docker0 -j ACCEPT
                -A FORWARD -i docker0 -o docker0 -j ACCEPT
                -A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 7000 -j ACCEPT
                -A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
                -A DOCKER-ISOLATION-STAGE-1 -j RETURN
                -A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
                -A DOCKER-ISOLATION-STAGE-2 -j RETURN
                -A DOCKER-USER -j RETURN
                COMMIT

                """
            )
        ],
        open: [
            Way("one", "198.51.100.9:7000"), Way("one", "172.17.0.3:7000"), Way("outside", "198.51.100.1:8080"),
        ],
        shut: [Way("outside", "172.17.0.3:7000")], isInTheWay: true)

    /// The same on a node whose `iptables` is the old one.
    private static var oldDocker: Neighbour {
        var old = docker
        old.name = "Docker by the old iptables"
        old.rules = docker.rules.map { (["iptables-legacy-restore"], $0.text) }
        old.listing = "iptables-legacy-save | sed '/^#/d; s/ \\[.*//'"
        return old
    }

    /// ufw 0.36 that denies by default, with a port of the node allowed and a bridge that `ufw route allow` names.
    private static let ufw = Neighbour(
        name: "ufw", bridge: "br9", network: "192.168.9", callsRules: false,
        rules: [
            (
                iptables,
                """
                *nat
                -A POSTROUTING -s 192.168.9.0/24 -o eth0 -j MASQUERADE
                COMMIT
                *filter
                :INPUT DROP [0:0]
                :FORWARD DROP [0:0]
                :ufw-before-input - [0:0]
                :ufw-before-forward - [0:0]
                :ufw-user-input - [0:0]
                :ufw-user-forward - [0:0]
                -A INPUT -j ufw-before-input
                -A FORWARD -j ufw-before-forward
                -A ufw-before-input -i lo -j ACCEPT
                -A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
                -A ufw-before-input -m conntrack --ctstate INVALID -j DROP
                -A ufw-before-input -p icmp -m icmp --icmp-type 8 -j ACCEPT
                -A ufw-before-input -j ufw-user-input
                -A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
                -A ufw-before-forward -p icmp -m icmp --icmp-type 3 -j ACCEPT
                -A ufw-before-forward -p icmp -m icmp --icmp-type 8 -j ACCEPT
                -A ufw-before-forward -j ufw-user-forward
                -A ufw-user-input -p tcp -m tcp --dport 7000 -j ACCEPT
                -A ufw-user-forward -i br9 -j ACCEPT
                COMMIT

                """
            ),
            (
                ip6tables,
                """
                *filter
                :INPUT DROP [0:0]
                :FORWARD DROP [0:0]
                :ufw6-before-input - [0:0]
                :ufw6-before-forward - [0:0]
                :ufw6-user-forward - [0:0]
                -A INPUT -j ufw6-before-input
                -A FORWARD -j ufw6-before-forward
                -A ufw6-before-input -i lo -j ACCEPT
                -A ufw6-before-input -p ipv6-icmp -m icmp6 --icmpv6-type 135 -m hl --hl-eq 255 -j ACCEPT
                -A ufw6-before-input -p ipv6-icmp -m icmp6 --icmpv6-type 136 -m hl --hl-eq 255 -j ACCEPT
                -A ufw6-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
                -A ufw6-before-forward -p ipv6-icmp -m icmp6 --icmpv6-type 128 -j ACCEPT
                -A ufw6-before-forward -j ufw6-user-forward
                COMMIT

                """
            ),
        ],
        open: [Way("one", "198.51.100.9:7000"), Way("one", "192.168.9.3:7000"), Way("outside", "198.51.100.1:7000")],
        shut: [Way("outside", "192.168.9.2:7000"), Way("outside", "198.51.100.1:7002")], isInTheWay: true,
        translations: [
            (
                "ufw route allow in on ([^\\s;]+)",
                "iptables-nft -A ufw-user-forward -i $1 -j ACCEPT; "
                    + "ip6tables-nft -A ufw6-user-forward -i $1 -j ACCEPT"
            ),
            (
                "ufw route allow out on ([^\\s;]+)",
                "iptables-nft -A ufw-user-forward -o $1 -j ACCEPT; "
                    + "ip6tables-nft -A ufw6-user-forward -o $1 -j ACCEPT"
            ),
        ])

    /// The default network of libvirt 9.
    private static let libvirt = Neighbour(
        name: "libvirt", bridge: "virbr0", network: "192.168.122",
        rules: [
            (
                iptables,
                """
                *mangle
                :LIBVIRT_PRT - [0:0]
                -A POSTROUTING -j LIBVIRT_PRT
                -A LIBVIRT_PRT -o virbr0 -p udp -m udp --dport 68 -j CHECKSUM --checksum-fill
                COMMIT
                *nat
                :LIBVIRT_PRT - [0:0]
                -A POSTROUTING -j LIBVIRT_PRT
                -A LIBVIRT_PRT -s 192.168.122.0/24 -d 224.0.0.0/24 -j RETURN
                -A LIBVIRT_PRT -s 192.168.122.0/24 -d 255.255.255.255/32 -j RETURN
                -A LIBVIRT_PRT -s 192.168.122.0/24 ! -d 192.168.122.0/24 -p tcp -j MASQUERADE --to-ports 1024-65535
                -A LIBVIRT_PRT -s 192.168.122.0/24 ! -d 192.168.122.0/24 -p udp -j MASQUERADE --to-ports 1024-65535
                -A LIBVIRT_PRT -s 192.168.122.0/24 ! -d 192.168.122.0/24 -j MASQUERADE
                COMMIT
                *filter
                :LIBVIRT_FWI - [0:0]
                :LIBVIRT_FWO - [0:0]
                :LIBVIRT_FWX - [0:0]
                -A FORWARD -j LIBVIRT_FWX
                -A FORWARD -j LIBVIRT_FWI
                -A FORWARD -j LIBVIRT_FWO
                -A LIBVIRT_FWI -d 192.168.122.0/24 -o virbr0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
                -A LIBVIRT_FWI -o virbr0 -j REJECT --reject-with icmp-port-unreachable
                -A LIBVIRT_FWO -s 192.168.122.0/24 -i virbr0 -j ACCEPT
                -A LIBVIRT_FWO -i virbr0 -j REJECT --reject-with icmp-port-unreachable
                -A LIBVIRT_FWX -i virbr0 -o virbr0 -j ACCEPT
                COMMIT

                """
            )
        ],
        open: [Way("one", "198.51.100.9:7000"), Way("one", "192.168.122.3:7000")],
        shut: [Way("outside", "192.168.122.2:7000")], isInTheWay: false)

    /// kube-proxy in its iptables mode with a node port, and the rules of a bridge plugin with masquerade.
    private static let kubernetes = Neighbour(
        name: "Kubernetes", bridge: "cni0", network: "10.244.0", callsRules: true,
        rules: [
            (
                iptables,
                """
                *nat
                :KUBE-SERVICES - [0:0]
                :KUBE-NODEPORTS - [0:0]
                :KUBE-MARK-MASQ - [0:0]
                :KUBE-POSTROUTING - [0:0]
                :KUBE-SEP-ONE - [0:0]
                -A PREROUTING -j KUBE-SERVICES
                -A OUTPUT -j KUBE-SERVICES
                -A POSTROUTING -j KUBE-POSTROUTING
                -A POSTROUTING -s 10.244.0.0/16 ! -d 10.244.0.0/16 -j MASQUERADE
                -A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
                -A KUBE-NODEPORTS -p tcp -m tcp --dport 30080 -j KUBE-MARK-MASQ
                -A KUBE-NODEPORTS -p tcp -m tcp --dport 30080 -j KUBE-SEP-ONE
                -A KUBE-SEP-ONE -p tcp -m tcp -j DNAT --to-destination 10.244.0.2:7000
                -A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
                -A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
                -A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
                -A KUBE-POSTROUTING -j MASQUERADE
                COMMIT
                *filter
                :KUBE-FORWARD - [0:0]
                -A FORWARD -j KUBE-FORWARD
                -A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
                -A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
                -A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
                COMMIT

                """
            )
        ],
        open: [
            Way("one", "198.51.100.9:7000"), Way("one", "10.244.0.3:7000"), Way("outside", "198.51.100.1:30080"),
        ],
        isInTheWay: false)

    /// A filter of sources for IPv6, for which the kernel has no setting, as some distributions write it.
    private static let reversePath = Neighbour(
        name: "reverse path filter", bridge: "br9", network: "192.168.9", callsRules: true,
        rules: [
            (
                ip6tables,
                """
                *raw
                -A PREROUTING -m rpfilter --validmark --invert -j DROP
                COMMIT

                """
            )
        ],
        open: [Way("one", "192.168.9.3:7000")], isInTheWay: true)
}
