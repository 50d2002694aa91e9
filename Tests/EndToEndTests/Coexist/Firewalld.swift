extension Neighbour {
    /// firewalld 1.3: eth0 and whatever nobody names in the zone `public`, which masquerades, his bridge in `trusted`.
    /// Without what it makes and leaves empty. Somebody else has switched bridge-nf-call-ip6tables on.
    static let firewalld = Neighbour(
        name: "firewalld", bridge: "br9", network: "192.168.9", callsRules: true,
        rules: [
            (
                ["nft", "-f"],
                """
                table inet firewalld {
                    chain nat_POSTROUTING {
                        type nat hook postrouting priority srcnat + 10; policy accept;
                        oifname "eth0" goto nat_POST_public
                    }
                    chain nat_POST_public {
                        meta nfproto ipv4 oifname != "lo" masquerade
                    }
                    chain filter_PREROUTING {
                        type filter hook prerouting priority filter + 10; policy accept;
                        icmpv6 type { nd-router-advert, nd-neighbor-solicit } accept
                        meta nfproto ipv6 fib saddr . mark . iif oif missing drop
                    }
                    chain filter_INPUT {
                        type filter hook input priority filter + 10; policy accept;
                        ct state { established, related } accept
                        ct status dnat accept
                        iifname "lo" accept
                        ct state invalid drop
                        jump filter_INPUT_ZONES
                        reject with icmpx admin-prohibited
                    }
                    chain filter_FORWARD {
                        type filter hook forward priority filter + 10; policy accept;
                        ct state { established, related } accept
                        ct status dnat accept
                        iifname "lo" accept
                        ct state invalid drop
                        jump filter_FORWARD_ZONES
                        reject with icmpx admin-prohibited
                    }
                    chain filter_INPUT_ZONES {
                        iifname "br9" goto filter_IN_trusted
                        goto filter_IN_public
                    }
                    chain filter_FORWARD_ZONES {
                        iifname "br9" goto filter_FWD_trusted
                        iifname "eth0" goto filter_FWD_public
                        goto filter_FWD_public
                    }
                    chain filter_IN_trusted { accept; }
                    chain filter_FWD_trusted { accept; }
                    chain filter_IN_public {
                        tcp dport 7000 ct state { new, untracked } accept
                        meta l4proto { icmp, ipv6-icmp } accept
                        reject with icmpx admin-prohibited
                    }
                    chain filter_FWD_public {
                        oifname "eth0" accept
                        meta l4proto { icmp, ipv6-icmp } accept
                        reject with icmpx admin-prohibited
                    }
                }

                """
            )
        ],
        open: [Way("one", "198.51.100.9:7000"), Way("one", "192.168.9.3:7000"), Way("outside", "198.51.100.1:7000")],
        shut: [Way("outside", "192.168.9.2:7000"), Way("outside", "198.51.100.1:7002")], isInTheWay: true,
        translations: [
            (
                "firewall-cmd --permanent --zone=trusted --add-interface=([^\\s;]+)",
                "nft insert rule inet firewalld filter_FORWARD_ZONES iifname $1 goto filter_FWD_trusted && "
                    + "nft insert rule inet firewalld filter_INPUT_ZONES iifname $1 goto filter_IN_trusted"
            ),
            ("sed -i .*firewalld.conf", "nft flush chain inet firewalld filter_PREROUTING"),
            ("firewall-cmd --reload", "true"),
        ],
        listing: "nft -s list table inet firewalld")
}
