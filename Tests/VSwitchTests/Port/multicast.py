"""Says where multicast goes on a switch, IPv4 and IPv6.

usage: multicast.py SENDER MEMBER OTHER   (network namespaces; each has an eth0 on the switch)
MEMBER joins a group of each family (IGMPv3, MLDv2), SENDER sends to both. For each family it prints whether OTHER has
heard a query, and who gets the group's packets in the end.
"""
import ctypes, os, select, socket, struct, sys, time

libc = ctypes.CDLL(None, use_errno=True)
GROUP4, GROUP6 = "239.1.2.3", "ff15::1234"


def enter(namespace):
    handle = os.open("/run/netns/" + namespace, os.O_RDONLY)
    if libc.setns(handle, 0x40000000) != 0:
        raise OSError(ctypes.get_errno(), "setns")
    os.close(handle)


def listen(namespace):
    enter(namespace)
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    raw.bind(("eth0", 0))
    raw.setsockopt(263, 23, 1)  # PACKET_IGNORE_OUTGOING
    # The bridge passes IP multicast on to members only: the socket takes what comes, whatever the link filters.
    raw.setsockopt(263, 1, struct.pack("iHH8x", socket.if_nametoindex("eth0"), 1, 0))  # PACKET_MR_PROMISC
    return raw


def kind(frame):
    """What a frame is to us: a query or a packet to the group, of which family."""
    if frame[12:14] == b"\x08\x00":
        header = (frame[14] & 15) * 4
        if frame[23] == 2 and frame[14 + header] == 0x11:
            return "query4"
        return "group4" if frame[30:34] == socket.inet_aton(GROUP4) and frame[23] == 17 else None
    if frame[12:14] == b"\x86\xdd":
        if frame[20] == 0 and frame[54] == 58 and frame[62] == 130:  # behind hop-by-hop options
            return "query6"
        if frame[38:54] == socket.inet_pton(socket.AF_INET6, GROUP6) and frame[20] == 17:
            return "group6"
    return None


sender_name, member_name, other_name = sys.argv[1:4]
member, other = listen(member_name), listen(other_name)
enter(member_name)
join4 = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
index = socket.if_nametoindex("eth0")
join4.setsockopt(0, 35, struct.pack("4s4si", socket.inet_aton(GROUP4), bytes(4), index))  # IP_ADD_MEMBERSHIP
join6 = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
join6.setsockopt(41, 20, socket.inet_pton(socket.AF_INET6, GROUP6) + struct.pack("i", index))  # IPV6_JOIN_GROUP
enter(sender_name)
index = socket.if_nametoindex("eth0")
out4 = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
out4.setsockopt(0, 32, struct.pack("4s4si", bytes(4), bytes(4), index))  # IP_MULTICAST_IF
out6 = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)

queries, end, latest = set(), time.monotonic() + 90, None
while time.monotonic() < end:
    got = {member: set(), other: set()}
    for _ in range(3):
        out4.sendto(b"to the group", (GROUP4, 9))
        out6.sendto(b"to the group", (GROUP6, 9, 0, index))
    pause = time.monotonic() + 0.5
    while time.monotonic() < pause:
        for raw in select.select([member, other], [], [], 0.1)[0]:
            got[raw].add(kind(raw.recv(4096)))
    queries |= {word for word in got[other] if word and word.startswith("query")}
    latest = [(who, sorted(word for word in got[raw] if word and word.startswith("group")))
              for who, raw in (("member", member), ("other", other))]
    if len(queries) == 2 and latest == [("member", ["group4", "group6"]), ("other", [])]:
        break
print("queries", *sorted(queries))
for who, words in latest:
    print(who, *words)
