"""Packets that no socket of the kernel makes: other protocols, and TCP out of order."""

import asyncio
import os
import socket
import struct

SCTP, GRE = 132, 47


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def sctp(chunk, source, destination, tag):
    """INIT (1) or INIT ACK (2) of RFC 9260, with no parameters."""
    body = struct.pack("!BBHIIHHI", chunk, 0, 20, 77, 65536, 1, 1, 1)
    header = struct.pack("!HHI", source, destination, tag)
    return header + struct.pack("<I", crc32c(header + b"\0" * 4 + body)) + body


def gre(word):
    """RFC 2784, without options."""
    return struct.pack("!HH", 0, 0x0800) + word


def tcp(end, address, port, source, flags):
    header = struct.pack("!HHIIBBHHH", source, port, 1000, 1000, 5 << 4, flags, 1024, 0, 0)
    if ":" in address:
        # The kernel writes the checksum.
        end.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_CHECKSUM, 16)
        return header
    ends = socket.inet_aton(end.getsockname()[0]) + socket.inet_aton(address)
    sum = checksum(ends + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(header)) + header)
    return header[:16] + struct.pack("!H", sum) + header[18:]


def opened(family, protocol):
    end = socket.socket(family, socket.SOCK_RAW, protocol)
    end.setblocking(False)
    return end


def payload(family, packet):
    """IPv4 comes with its header."""
    return packet[(packet[0] & 15) * 4:] if family == socket.AF_INET else packet


def serve():
    """Answers to INIT with INIT ACK, and to "ask" in GRE with "answer"."""
    loop = asyncio.get_running_loop()

    def answer(end):
        packet, address = end.recvfrom(2048)
        data = payload(end.family, packet)
        if end.proto == SCTP and len(data) > 16 and data[12] == 1:
            source, destination = struct.unpack("!HH", data[:4])
            end.sendto(sctp(2, destination, source, 77), address[:1] + (0,))
        elif end.proto == GRE and data[4:] == b"ask":
            end.sendto(gre(b"answer"), address[:1] + (0,))

    for family in (socket.AF_INET, socket.AF_INET6):
        for protocol in (SCTP, GRE):
            end = opened(family, protocol)
            loop.add_reader(end, answer, end)


async def ask(how, address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    loop = asyncio.get_running_loop()
    source = 20000 + os.getpid() % 1000 * 40 + port % 37
    protocol = {"sctp": SCTP, "gre": GRE, "stamp": socket.IPPROTO_ICMP}.get(how, socket.IPPROTO_TCP)
    end = opened(family, protocol)
    end.connect((address, 0))
    if how == "sctp":
        packet = sctp(1, source, port, 0)
        is_answer = lambda data: data[12] == 2 and data[2:4] == struct.pack("!H", source)
    elif how == "gre":
        packet = gre(b"ask")
        is_answer = lambda data: data[4:] == b"answer"
    elif how == "stamp":
        words = struct.pack("!BBHHHIII", 13, 0, 0, source, 1, 0, 0, 0)
        packet = words[:2] + struct.pack("!H", checksum(words)) + words[4:]
        is_answer = lambda data: data[0] == 14
    else:
        # A listener that gets one of these refuses it.
        packet = tcp(end, address, port, source, {"ack": 0x10, "synack": 0x12}[how])
        is_answer = lambda data: data[13] & 4 and data[2:4] == struct.pack("!H", source)
    await loop.sock_sendall(end, packet)
    while not is_answer(payload(family, await loop.sock_recv(end, 2048))):
        pass
    return True
