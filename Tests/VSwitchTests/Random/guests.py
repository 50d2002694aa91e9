"""All guests of a town from one process, which opens each socket in its guest's network namespace.

    guests.py serve NAMESPACE...  answers in each on the ports below, TCP and UDP, IPv4 and IPv6; says "ready" first
    guests.py ask SECONDS         reads lines `NAMESPACE HOW ADDRESS PORT yes|no`, questions and what is expected; asks
                                  all at once, and prints those that turn out otherwise

Who expects an answer asks again and again, for that long. Who expects none has not been answered when all those have,
asks again then, when nobody looks for neighbours any more, and hears nothing still.
"""

import asyncio
import ctypes
import errno
import os
import socket
import struct
import sys
import time

PORTS = (22, 53, 80, 443)
# How long one attempt may take, and how long silence is listened to: in seconds.
ATTEMPT, SILENCE = 1.5, 0.3
CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def enter(namespace):
    handle = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        if libc.setns(handle, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns {namespace}")
    finally:
        os.close(handle)


def opened(namespace, family, kind, protocol=0):
    enter(namespace)
    end = socket.socket(family, kind, protocol)
    end.setblocking(False)
    return end


async def answer(reader, writer):
    try:
        while data := await reader.read(64):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.close()


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.transport.sendto(data, address)


async def serve(namespaces):
    loop = asyncio.get_running_loop()
    for namespace in namespaces:
        for port in PORTS:
            for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    end = opened(namespace, family, kind)
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    if family == socket.AF_INET6:
                        end.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    end.bind((host, port))
                    if kind == socket.SOCK_STREAM:
                        end.listen(64)
                        await asyncio.start_server(answer, sock=end)
                    else:
                        await loop.create_datagram_endpoint(Echo, sock=end)
    print("ready", flush=True)
    await asyncio.Event().wait()


class Question:
    """One of the lines; `tries` are its sockets so far, each with a word of its own."""

    serial = 0

    def __init__(self, line):
        self.line = line
        self.namespace, self.how, self.address, self.port, expected = line.split()
        self.isExpected = expected == "yes"
        self.family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        self.answered = asyncio.Event()

    async def attempt(self):
        """Asks once, on a socket of its own, until there is an answer or nobody waits any more."""
        loop = asyncio.get_running_loop()
        Question.serial += 1
        word = struct.pack("!HH", os.getpid() & 0xFFFF, Question.serial & 0xFFFF)
        kind, protocol = {
            "tcp": (socket.SOCK_STREAM, 0), "udp": (socket.SOCK_DGRAM, 0),
            "icmp": (socket.SOCK_RAW, socket.IPPROTO_ICMPV6 if ":" in self.address else socket.IPPROTO_ICMP),
        }[self.how]
        end = opened(self.namespace, self.family, kind, protocol)
        try:
            if self.how == "tcp":
                await loop.sock_connect(end, (self.address, int(self.port)))
            else:
                # Nothing is sent yet.
                end.connect((self.address, int(self.port)))
            await loop.sock_sendall(end, self.echo(word) if self.how == "icmp" else word)
            while True:
                data = await loop.sock_recv(end, 256)
                if not data:
                    return
                if self.how != "icmp" or self.isReply(data, word):
                    self.answered.set()
                    return
        except ConnectionRefusedError:
            # So it got there.
            self.answered.set()
        except OSError as error:
            if error.errno not in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT, errno.EACCES,
                                   errno.ECONNRESET, errno.EPIPE, errno.EPERM):
                raise
        finally:
            end.close()

    def echo(self, word):
        kind = 128 if self.family == socket.AF_INET6 else 8
        packet = struct.pack("!BBH", kind, 0, 0) + word
        if kind == 128:
            return packet
        total = sum(struct.unpack("!4H", packet))
        total = (total & 0xFFFF) + (total >> 16)
        total = (total & 0xFFFF) + (total >> 16)
        return struct.pack("!BBH", 8, 0, ~total & 0xFFFF) + word

    def isReply(self, data, word):
        if self.family == socket.AF_INET:
            data = data[(data[0] & 15) * 4:]
        return data[0] == (129 if self.family == socket.AF_INET6 else 0) and data[4:8] == word

    async def insist(self, seconds):
        """Asks until there is an answer, or the time is over."""
        end = time.monotonic() + seconds
        while not self.answered.is_set() and time.monotonic() < end:
            begun = time.monotonic()
            try:
                await asyncio.wait_for(self.attempt(), ATTEMPT)
            except asyncio.TimeoutError:
                pass
            if not self.answered.is_set():
                await asyncio.sleep(max(0, 0.2 - (time.monotonic() - begun)))


async def ask(lines, seconds):
    questions = [Question(line) for line in lines]
    silent = [question for question in questions if not question.isExpected]
    first = [asyncio.create_task(question.attempt()) for question in silent]
    await asyncio.gather(asyncio.sleep(SILENCE), *(each.insist(seconds) for each in questions if each.isExpected))
    second = [asyncio.create_task(question.attempt()) for question in silent]
    await asyncio.sleep(SILENCE)
    for task in first + second:
        if not task.done():
            task.cancel()
    for outcome in await asyncio.gather(*first, *second, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome
    for question in questions:
        if question.answered.is_set() != question.isExpected:
            print(question.line)


if sys.argv[1] == "serve":
    asyncio.run(serve(sys.argv[2:]))
else:
    asyncio.run(ask([line.strip() for line in sys.stdin if line.strip()], int(sys.argv[2])))
