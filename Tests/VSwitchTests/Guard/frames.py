"""Sends frames from one network namespace and prints which of them arrive in another.

usage: frames.py SENDER-NAMESPACE RECEIVER-NAMESPACE   (both ends are named eth0; one 'NAME HEX' a line on stdin)
Each frame gets a number, by which the receiver knows it: IPv6 in its flow label, all others in their last four bytes,
which are overwritten.
"""
import ctypes, os, select, socket, struct, sys, time

libc = ctypes.CDLL(None, use_errno=True)


def packet_socket(namespace):
    handle = os.open("/run/netns/" + namespace, os.O_RDONLY)
    if libc.setns(handle, 0x40000000) != 0:
        raise OSError(ctypes.get_errno(), "setns")
    os.close(handle)
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    raw.bind(("eth0", 0))
    return raw


def flow_label(frame):
    """Where the flow label of an IPv6 packet is, behind any tags; None for others."""
    offset = 12
    while frame[offset:offset + 2] in (b"\x81\x00", b"\x88\xa8"):
        offset += 4
    return offset + 3 if frame[offset:offset + 2] == b"\x86\xdd" else None


def marked(frame, number):
    label = flow_label(frame)
    if label is None:
        return frame[:-4] + b"\xfa\xce" + struct.pack("!H", number)
    return frame[:label] + bytes([frame[label] & 0xf0 | 0x0a]) + struct.pack("!H", number) + frame[label + 3:]


def number_of(frame):
    label = flow_label(frame)
    if label is None:
        return struct.unpack("!H", frame[-2:])[0] if frame[-4:-2] == b"\xfa\xce" else None
    return struct.unpack("!H", frame[label + 1:label + 3])[0] if frame[label] & 0x0f == 0x0a else None


sender, receiver = packet_socket(sys.argv[1]), packet_socket(sys.argv[2])
# PACKET_IGNORE_OUTGOING: what the receiver's own kernel sends is no arrival.
receiver.setsockopt(263, 23, 1)
frames = [line.split() for line in sys.stdin if line.strip()]
for number, (name, contents) in enumerate(frames):
    sender.send(marked(bytes.fromhex(contents), number))
arrived, end = set(), time.monotonic() + 20
while time.monotonic() < end:
    # The last frame is always one that passes: when it is there, all before it have had their chance.
    if select.select([receiver], [], [], 0.05)[0]:
        frame = receiver.recv(2048)
        if (number := number_of(frame)) is not None:
            arrived.add(number)
    if len(frames) - 1 in arrived and not select.select([receiver], [], [], 0.05)[0]:
        break
for number, (name, _) in enumerate(frames):
    print(name, "passed" if number in arrived else "dropped")
