"""Sends frames from one network namespace and prints which of them arrive in another.

usage: frames.py SENDER-NAMESPACE RECEIVER-NAMESPACE   (both ends are named eth0; one 'NAME HEX' a line on stdin)
The last four bytes of each frame are overwritten with its number, by which the receiver knows it.
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


sender, receiver = packet_socket(sys.argv[1]), packet_socket(sys.argv[2])
# PACKET_IGNORE_OUTGOING: what the receiver's own kernel sends is no arrival.
receiver.setsockopt(263, 23, 1)
frames = [line.split() for line in sys.stdin if line.strip()]
for number, (name, contents) in enumerate(frames):
    mark = b"\xfa\xce" + struct.pack("!H", number)
    sender.send(bytes.fromhex(contents)[:-4] + mark)
arrived, end = set(), time.monotonic() + 20
while time.monotonic() < end:
    # The last frame is always one that passes: when it is there, all before it have had their chance.
    if select.select([receiver], [], [], 0.05)[0]:
        frame = receiver.recv(2048)
        if frame[-4:-2] == b"\xfa\xce":
            arrived.add(struct.unpack("!H", frame[-2:])[0])
    if len(frames) - 1 in arrived and not select.select([receiver], [], [], 0.05)[0]:
        break
for number, (name, _) in enumerate(frames):
    print(name, "passed" if number in arrived else "dropped")
