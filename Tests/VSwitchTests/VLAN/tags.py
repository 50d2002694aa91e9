"""Who hears a frame, and with which tag.

    tags.py send NAME=NAMESPACE...
        reads lines `LABEL SENDER HEX NAME[:VLAN],...` or `LABEL SENDER HEX -`, sends all, and prints each label with those
        who heard the frame, in order of their names
    tags.py flood SENDER HEX NAME=NAMESPACE...
        sends one frame on and on, says "ready", and then each name when it hears the first

Each end is the link eth0 of a namespace; one that has none hears nothing. The last four bytes of a frame are overwritten
with its number. A tag of another type than 802.1Q is shown with its type: `a:88a8.20`.
"""
import ctypes
import errno
import os
import select
import socket
import struct
import sys
import time

SOL_PACKET, PACKET_AUXDATA, PACKET_IGNORE_OUTGOING = 263, 8, 23
VLAN_VALID = 1 << 4
libc = ctypes.CDLL(None, use_errno=True)


def packet_socket(namespace):
    handle = os.open("/run/netns/" + namespace, os.O_RDONLY)
    if libc.setns(handle, 0x40000000) != 0:
        raise OSError(ctypes.get_errno(), "setns")
    os.close(handle)
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    raw.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    raw.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    try:
        raw.bind(("eth0", 0))
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
        return None
    return raw


def heard(end):
    """The number and the tag of a frame; None for one that is not ours."""
    frame, extra, _, _ = end.recvmsg(4096, 256)
    if frame[-4:-2] != b"\xfa\xce":
        return None
    tag = ""
    for _, _, data in extra:
        status, _, _, _, _, tci, tpid = struct.unpack("=IIIHHHH", data[:20])
        if status & VLAN_VALID:
            tag = f":{tci & 0xfff}" if tpid == 0x8100 else f":{tpid:x}.{tci & 0xfff}"
    return struct.unpack("!H", frame[-2:])[0], tag


def gather(ends, arrived, seconds):
    names = {end.fileno(): name for name, end in ends.items()}
    ready = select.select(list(ends.values()), [], [], seconds)[0]
    for end in ready:
        if found := heard(end):
            arrived.setdefault(found[0], set()).add(names[end.fileno()] + found[1])
    return ready


def send(ends):
    lines = [line.split() for line in sys.stdin if line.strip()]
    arrived = {}
    wanted = {n: set(line[3].split(",")) - {"-"} for n, line in enumerate(lines)}
    missing = list(wanted)
    end = time.monotonic() + 20
    # A port may forward only a moment after it has come up: what should be heard and is not is sent again.
    while missing and time.monotonic() < end:
        for number in missing:
            _, sender, contents, _ = lines[number]
            ends[sender].send(bytes.fromhex(contents)[:-4] + b"\xfa\xce" + struct.pack("!H", number))
            while gather(ends, arrived, 0):
                pass
        again = time.monotonic() + 0.5
        while time.monotonic() < again and any(wanted[n] - arrived.get(n, set()) for n in wanted):
            gather(ends, arrived, 0.05)
        missing = [n for n in wanted if wanted[n] - arrived.get(n, set())]
    # All that is to come is there; what is not gets a moment more.
    while gather(ends, arrived, 0.2) and time.monotonic() < end + 5:
        pass
    for number, line in enumerate(lines):
        print(line[0], ",".join(sorted(arrived.get(number, ()))) or "-")


def flood(sender, contents, ends):
    arrived, known = {}, set()
    print("ready", flush=True)
    frame = bytes.fromhex(contents)[:-4] + b"\xfa\xce\0\0"
    while True:
        ends[sender].send(frame)
        gather(ends, arrived, 0.001)
        for name in arrived.get(0, set()) - known:
            known.add(name)
            print("heard", name, flush=True)


def opened(words):
    ends = {name: packet_socket(namespace) for name, namespace in (word.split("=") for word in words)}
    return {name: end for name, end in ends.items() if end}


if sys.argv[1] == "flood":
    flood(sys.argv[2], sys.argv[3], opened(sys.argv[4:]))
else:
    send(opened(sys.argv[2:]))
