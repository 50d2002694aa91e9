"""The ends of conversations, for tests of who may talk to whom.

    peer.py serve PORT...   answers on these ports, TCP and UDP, IPv4 and IPv6, until it is ended; says "ready" first
    peer.py ask             reads lines `tcp|udp ADDRESS PORT` or `icmp ADDRESS 0`, tries all at once, and prints each
                            with "yes" or "no", in their order
"""

import asyncio
import socket
import sys

PATIENCE = 1.0


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.transport.sendto(data, address)


async def answer(reader, writer):
    while data := await reader.read(64):
        writer.write(data)
        await writer.drain()
    writer.close()


async def serve(ports):
    loop = asyncio.get_running_loop()
    for port in ports:
        for host, family in (("0.0.0.0", socket.AF_INET), ("::", socket.AF_INET6)):
            await asyncio.start_server(answer, host, port, family=family)
        # Of both families: unlike a server, this socket takes IPv4 too.
        await loop.create_datagram_endpoint(Echo, local_addr=("::", port), family=socket.AF_INET6)
    print("ready", flush=True)
    await asyncio.Event().wait()


class Question(asyncio.DatagramProtocol):
    def __init__(self):
        self.answered = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        transport.sendto(b"hello")

    def datagram_received(self, data, address):
        if not self.answered.done():
            self.answered.set_result(data)

    def error_received(self, error):
        if not self.answered.done():
            self.answered.set_exception(error)


async def tcp(address, port):
    reader, writer = await asyncio.open_connection(address, port)
    writer.write(b"hello")
    answered = await reader.readexactly(5)
    writer.close()
    return answered == b"hello"


async def udp(address, port):
    transport, question = await asyncio.get_running_loop().create_datagram_endpoint(
        Question, remote_addr=(address, port))
    try:
        return await question.answered == b"hello"
    finally:
        transport.close()


async def icmp(address, _):
    ping = await asyncio.create_subprocess_exec(
        "ping", "-c", "1", "-W", "1", address, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL)
    return await ping.wait() == 0


async def ask(line):
    how, address, port = line.split()
    patience = PATIENCE if how != "icmp" else PATIENCE + 1
    try:
        return await asyncio.wait_for({"tcp": tcp, "udp": udp, "icmp": icmp}[how](address, int(port)), patience)
    except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
        return False


async def ask_all(lines):
    answers = await asyncio.gather(*(ask(line) for line in lines))
    for line, answered in zip(lines, answers):
        print(line, "yes" if answered else "no")


if sys.argv[1] == "serve":
    asyncio.run(serve([int(port) for port in sys.argv[2:]]))
else:
    asyncio.run(ask_all([line.strip() for line in sys.stdin if line.strip()]))
