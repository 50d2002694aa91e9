"""The ends of conversations, for tests of who may talk to whom.

    peer.py serve PORT...   answers on these ports, TCP and UDP, IPv4 and IPv6, until it is ended; says "ready" first.
                            Who asks by UDP on port 54 has to wait a moment
    peer.py ask             reads lines `tcp|udp ADDRESS PORT [SOURCE PORT]` or `icmp ADDRESS 0`, tries all at once, and
                            prints each with "yes" or "no", in their order. `big` is a datagram of 4,000 bytes,
                            `refused` one that is to be refused, `narrow` one that is to be found too long on its way;
                            `sctp`, `gre`, `stamp` (an ICMP timestamp), `ack` and `synack` are single packets
    peer.py talk LINE...    goes on with each of `tcp|udp|icmp|hear ADDRESS PORT`, and prints it at every answer. Who
                            hears says nothing: the other end sends without being asked
"""

import asyncio
import errno
import socket
import sys

import raw

PATIENCE = 1.0
LATE = (54, 0.15)


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.transport.sendto(data, address)


class LateEcho(Echo):
    def datagram_received(self, data, address):
        asyncio.get_running_loop().call_later(LATE[1], self.transport.sendto, data, address)


async def answer(reader, writer):
    while data := await reader.read(64):
        writer.write(data)
        await writer.drain()
        while data == b"tick!":
            await asyncio.sleep(0.05)
            writer.write(data)
            await writer.drain()
    writer.close()


async def serve(ports):
    loop = asyncio.get_running_loop()
    for port in ports:
        for host, family in (("0.0.0.0", socket.AF_INET), ("::", socket.AF_INET6)):
            await asyncio.start_server(answer, host, port, family=family)
        # Of both families: unlike a server, this socket takes IPv4 too.
        echo = LateEcho if port == LATE[0] else Echo
        await loop.create_datagram_endpoint(echo, local_addr=("::", port), family=socket.AF_INET6)
    raw.serve()
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


async def connected(kind, address, port, source):
    end = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    end.setblocking(False)
    if ":" in address:
        # Else it would take the source port of IPv4 too.
        end.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if source:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        end.bind(("", source))
    await asyncio.get_running_loop().sock_connect(end, (address, port))
    return end


async def tcp(address, port, source):
    reader, writer = await asyncio.open_connection(sock=await connected(socket.SOCK_STREAM, address, port, source))
    writer.write(b"hello")
    answered = await reader.readexactly(5)
    writer.close()
    return answered == b"hello"


async def udp(address, port, source):
    transport, question = await asyncio.get_running_loop().create_datagram_endpoint(
        Question, sock=await connected(socket.SOCK_DGRAM, address, port, source))
    try:
        return await question.answered == b"hello"
    finally:
        transport.close()


async def big(address, port, source):
    loop = asyncio.get_running_loop()
    end = await connected(socket.SOCK_DGRAM, address, port, source)
    await loop.sock_sendall(end, bytes(4000))
    return await loop.sock_recv(end, 5000) == bytes(4000)


async def refused(address, port, source):
    loop = asyncio.get_running_loop()
    end = await connected(socket.SOCK_DGRAM, address, port, source)
    await loop.sock_sendall(end, b"hello")
    try:
        await loop.sock_recv(end, 64)
    except ConnectionRefusedError:
        return True
    return False


async def narrow(address, port, source):
    end = await connected(socket.SOCK_DGRAM, address, port, source)
    if ":" in address:
        end.setsockopt(socket.IPPROTO_IPV6, 23, 2)  # IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO
    else:
        end.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER, IP_PMTUDISC_DO
    while True:
        try:
            end.send(bytes(1400))
        except OSError as error:
            return error.errno == errno.EMSGSIZE
        await asyncio.sleep(0.1)


async def icmp(address, *_):
    ping = await asyncio.create_subprocess_exec(
        "ping", "-c", "1", "-W", "1", address, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL)
    return await ping.wait() == 0


async def ask(line):
    how, address, port, *source = line.split()
    source = int(source[0]) if source else 0
    patience = PATIENCE if how != "icmp" else PATIENCE + 1
    try:
        ways = {"tcp": tcp, "udp": udp, "icmp": icmp, "big": big, "refused": refused, "narrow": narrow}
        asked = ways[how](address, int(port), source) if how in ways else raw.ask(how, address, int(port))
        return await asyncio.wait_for(asked, patience)
    except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
        return False


async def ask_all(lines):
    answers = await asyncio.gather(*(ask(line) for line in lines))
    for line, answered in zip(lines, answers):
        print(line, "yes" if answered else "no")


async def talk(line):
    how, address, port = line.split()
    said = lambda: print(line, flush=True)
    if how == "icmp":
        ping = await asyncio.create_subprocess_exec(
            "ping", "-i", "0.1", "-O", address, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL)
        while words := await ping.stdout.readline():
            if b"bytes from" in words:
                said()
        return
    if how == "udp":
        end = await connected(socket.SOCK_DGRAM, address, int(port), 0)
        loop = asyncio.get_running_loop()
        while True:
            try:
                end.send(b"hello")
                await asyncio.wait_for(loop.sock_recv(end, 64), 0.2)
                said()
            except (OSError, asyncio.TimeoutError):
                pass
            await asyncio.sleep(0.05)
    reader, writer = await asyncio.open_connection(
        sock=await connected(socket.SOCK_STREAM, address, int(port), 0))
    if how == "hear":
        writer.write(b"tick!")
    while True:
        if how == "tcp":
            writer.write(b"hello")
            await asyncio.sleep(0.05)
        await reader.readexactly(5)
        said()


async def talk_all(lines):
    await asyncio.gather(*(talk(line) for line in lines))


if sys.argv[1] == "talk":
    asyncio.run(talk_all(sys.argv[2:]))
elif sys.argv[1] == "serve":
    asyncio.run(serve([int(port) for port in sys.argv[2:]]))
else:
    asyncio.run(ask_all([line.strip() for line in sys.stdin if line.strip()]))
