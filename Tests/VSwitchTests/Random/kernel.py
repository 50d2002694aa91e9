"""What the kernel has in network namespaces, in lines that two nodes can be compared by.

    kernel.py LABEL=NAMESPACE...

Left out is what two nodes with the same manifest differ in: numbers that the kernel gives by turns (interface indexes,
handles, the places of ports on a bridge), counters and timers, and what has been learned from packets (dynamic
neighbours and forwarding entries, sets that packets fill). Interfaces are named. Order counts where it does in the
kernel: among the rules of a chain, and among rules of routing by their priority.
"""

import ctypes
import json
import os
import subprocess
import sys

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)

# Numbers given by turns; counters; timers; states that follow in their own time. For `link` of a port bridge(8) takes the
# index of a far end for one of this namespace.
LINK = {
    "ifindex", "link_index", "link_netnsid", "port_no", "port_id", "hello_timer", "tcn_timer", "topology_change_timer",
    "gc_timer", "hold_timer", "message_age_timer", "forward_delay_timer", "designated_port", "iflink",
    "topology_change", "topology_change_detected", "config_pending", "topology_change_ack",
    # Of a port; a bridge's own has another name.
    "id", "no", "fdb_n_learned",
    # What a bridge may send at once follows the ports that it has had.
    "tso_max_size", "tso_max_segs", "gso_max_size", "gso_max_segs", "gro_max_size", "gso_ipv4_max_size",
    "gro_ipv4_max_size",
}
ADDRESS = {"valid_life_time", "preferred_life_time", "tentative", "optimistic"}
SETTINGS = ("forwarding", "force_forwarding", "disable_ipv6", "accept_ra", "rp_filter", "accept_redirects",
            "send_redirects", "arp_ignore", "arp_announce", "proxy_arp", "addr_gen_mode", "accept_local",
            "route_localnet", "autoconf", "accept_dad", "dad_transmits", "mc_forwarding")


def enter(namespace):
    handle = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        if libc.setns(handle, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns {namespace}")
    finally:
        os.close(handle)


def seen(*words):
    text = subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
    return json.loads(text) if text else []


def line(*words):
    print(*(word if isinstance(word, str) else json.dumps(word, sort_keys=True) for word in words))


def without(value, keys):
    """A copy without these fields, at any depth."""
    if isinstance(value, dict):
        return {key: without(each, keys) for key, each in value.items() if key not in keys}
    if isinstance(value, list):
        return [without(each, keys) for each in value]
    return value


def links(label):
    for link in seen("ip", "-d", "-j", "link"):
        if link:
            line(label, "link", link["ifname"], without(link, LINK))
    for link in seen("ip", "-j", "addr"):
        for address in link.get("addr_info", []):
            line(label, "address", link["ifname"], without(address, ADDRESS))
    for port in seen("bridge", "-d", "-j", "link"):
        line(label, "port", port["ifname"], without(port, LINK | {"cost", "link"}))
    for entry in seen("bridge", "-j", "fdb"):
        if entry.get("state") in ("permanent", "static"):
            line(label, "fdb", entry["ifname"], entry)


def routing(label):
    for family in ("-4", "-6"):
        for route in seen("ip", family, "-j", "route", "show", "table", "all"):
            # What the kernel notes of one destination.
            if route.get("type") != "multicast" and "cache" not in route.get("flags", []):
                line(label, "route", family, without(route, {"flags", "expires", "users", "age", "used"}))
        for rule in seen("ip", family, "-j", "rule"):
            line(label, "rule", family, rule)
    for neighbour in seen("ip", "-j", "neigh", "show", "nud", "permanent"):
        if not neighbour["dst"].startswith(("ff", "224.")):
            line(label, "neighbour", neighbour)


def settings(label):
    for family in ("ipv4", "ipv6"):
        root = f"/proc/sys/net/{family}/conf"
        for name in sorted(os.listdir(root)):
            found = {}
            for setting in SETTINGS:
                try:
                    with open(f"{root}/{name}/{setting}") as file:
                        found[setting] = file.read().strip()
                except OSError:
                    pass
            line(label, "settings", family, name, found)


def rules(label):
    """Chains are compared rule by rule, in their order; sets as sets."""
    places = {}
    for item in seen("nft", "-j", "list", "ruleset").get("nftables", []):
        kind, = item
        item = without(item[kind], {"handle", "index"})
        if kind == "metainfo":
            continue
        where = f"{item['family']} {item.get('table', item['name'] if 'name' in item else '')}"
        if kind in ("set", "map"):
            elements = item.pop("elem", [])
            if "dynamic" in item.get("flags", []) or "timeout" in item.get("flags", []):
                elements = []
            item.pop("size", None)
            line(label, kind, where, item["name"], item)
            for element in elements:
                line(label, "element", where, item["name"], without(element, {"packets", "bytes", "expires"}))
        elif kind == "rule":
            place = places[where, item["chain"]] = places.get((where, item["chain"]), 0) + 1
            line(label, "rule", where, item["chain"], f"{place:03}", without(item, {"packets", "bytes"}))
        else:
            line(label, kind, where, item.get("name", ""), without(item, {"packets", "bytes"}))


for argument in sys.argv[1:]:
    label, _, namespace = argument.partition("=")
    enter(namespace)
    links(label)
    routing(label)
    settings(label)
    rules(label)
