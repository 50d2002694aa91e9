#!/usr/bin/env python3
"""Flows of which every packet is counted.

    flow.py serve               echoes UDP and TCP on port 7000, and tells of what comes to 7001
    flow.py drive ADDRESS...    talks to each address until SIGTERM, then says what became of every packet
    flow.py intrude [SOURCE=]ADDRESS...    sends to port 7001, from an address that is not its own

To each address go 1,000 datagrams a second, each with its number, and one TCP connection that is never silent. A
datagram is lost if no answer has come within ten seconds. The measuring itself loses none: few are on their way at
once, sockets have room for many more, and who finds no time to send in time sends later. What the kernel itself drops
because a processor's queue is full (softnet_stat) is nobody's fault, and told of.
"""

import errno
import ipaddress
import selectors
import signal
import socket
import struct
import sys
import time

PORT = 7000
FORBIDDEN = 7001
INTERVAL = 0.001
# So many datagrams, or bytes of a stream, may be on their way.
WINDOW = 48
STREAM_WINDOW = 1 << 16
PATIENCE = 10.0
ROOM = 4 << 20


def serve():
    selector = selectors.DefaultSelector()
    datagrams = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    listener = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    forbidden = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    for one, port in ((datagrams, PORT), (listener, PORT), (forbidden, FORBIDDEN)):
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        one.bind(("::", port))
    selector.register(forbidden, selectors.EVENT_READ)
    datagrams.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
    listener.listen()
    selector.register(datagrams, selectors.EVENT_READ)
    selector.register(listener, selectors.EVENT_READ)
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            if key.fileobj is datagrams:
                echo(datagrams)
            elif key.fileobj is forbidden:
                _, sender = forbidden.recvfrom(2048)
                print(f"intruder {sender[0]}", flush=True)
            elif key.fileobj is listener:
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(connection, selectors.EVENT_READ)
            elif not give_back(key.fileobj):
                selector.unregister(key.fileobj)
                key.fileobj.close()


def echo(datagrams):
    for _ in range(64):
        try:
            data, sender = datagrams.recvfrom(2048, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            continue
        # A sender that has gone, or that cannot be reached, shows at the other end.
        try:
            datagrams.sendto(data, sender)
        except OSError:
            pass


def give_back(connection):
    try:
        data = connection.recv(1 << 16)
        if data:
            connection.sendall(data)
        return bool(data)
    except OSError:
        return False


class Datagrams:
    def __init__(self, address, family):
        self.name = f"udp {address}"
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
        self.socket.connect((address, PORT))
        self.socket.setblocking(False)
        self.waited = {}  # when each was sent that has no answer
        self.lost = set()
        self.sent = self.answered = self.doubled = 0
        self.refusals = {}
        self.due = self.heard = time.monotonic()
        self.gap = 0.0

    def send(self, now):
        while self.waited and (oldest := next(iter(self.waited.items())))[1] < now - PATIENCE:
            self.lost.add(oldest[0])
            del self.waited[oldest[0]]
        while self.due <= now and len(self.waited) < WINDOW:
            self.due = max(self.due + INTERVAL, now - WINDOW * INTERVAL)
            try:
                self.socket.send(struct.pack("!Q", self.sent) + bytes(56))
            except BlockingIOError:
                return
            except OSError as error:
                self.refuse(error)
                continue
            self.waited[self.sent] = now
            self.sent += 1

    def receive(self, now):
        while True:
            try:
                data = self.socket.recv(2048)
            except BlockingIOError:
                return
            except OSError as error:
                self.refuse(error)
                return
            number = struct.unpack("!Q", data[:8])[0]
            if self.waited.pop(number, None) is None and number not in self.lost:
                self.doubled += 1
                continue
            self.lost.discard(number)
            self.answered += 1
            self.gap = max(self.gap, now - self.heard)
            self.heard = now

    def refuse(self, error):
        name = errno.errorcode.get(error.errno, str(error))
        self.refusals[name] = self.refusals.get(name, 0) + 1

    def is_warm(self):
        return self.answered > 50

    def is_done(self):
        return not self.waited

    def finish(self):
        self.lost.update(self.waited)

    def report(self):
        fault = f"lost {len(self.lost)} {sorted(self.lost)[:8]}" if self.lost else ""
        if self.doubled:
            fault += f" doubled {self.doubled}"
        if self.refusals:
            fault += f" refused {self.refusals}"
        if self.sent < 500:
            fault += " too few to tell"
        gap = f"longest silence {self.gap * 1000:.0f} ms"
        return f"{self.name}: sent {self.sent} answered {self.answered}, {gap}", fault, len(self.lost)


class Stream:
    def __init__(self, address, family):
        self.name = f"tcp {address}"
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE)
        self.socket.connect((address, PORT))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.sent = self.received = 0
        self.fault = ""
        self.due = time.monotonic()
        self.is_ended = False
        self.has_closed = False

    def piece(self, start, count):
        """The bytes of the stream from a place on: numbers of eight bytes, one after the other."""
        first, last = start // 8, (start + count + 7) // 8
        data = b"".join(struct.pack("!Q", number) for number in range(first, last))
        return data[start - first * 8 :][:count]

    def send(self, now):
        if self.has_closed or self.is_ended or self.due > now or self.sent - self.received >= STREAM_WINDOW:
            return
        self.due = now + 0.004
        try:
            self.sent += self.socket.send(self.piece(self.sent, 4096))
        except BlockingIOError:
            pass
        except OSError as error:
            self.end(f"sending: {error}")

    def receive(self, now):
        while not self.is_ended:
            try:
                data = self.socket.recv(1 << 16)
            except BlockingIOError:
                return
            except OSError as error:
                return self.end(f"receiving: {error}")
            if not data:
                return self.end("" if self.has_closed else "closed by the peer")
            if data != self.piece(self.received, len(data)):
                return self.end("other bytes than were sent")
            self.received += len(data)

    def end(self, fault):
        self.is_ended = True
        self.fault = fault

    def is_warm(self):
        return self.received > 8192

    def is_done(self):
        if not self.has_closed and not self.is_ended:
            self.has_closed = True
            self.socket.shutdown(socket.SHUT_WR)
        return self.is_ended

    def finish(self):
        if not self.is_ended:
            self.end("no end came back")

    def report(self):
        fault = self.fault
        if self.sent != self.received:
            fault += f" {self.sent - self.received} bytes did not come back"
        # tcpi_total_retrans (linux/tcp.h): a packet that was sent again was late or lost.
        again = struct.unpack_from("=I", self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 100)[0]
        return f"{self.name}: {self.received} bytes came back, sent again {again} packets", fault, 0


def intrude(paths):
    sockets = []
    for path in paths:
        *source, address = path.split("=")
        is_ipv4 = ipaddress.ip_address(address).version == 4
        one = socket.socket(socket.AF_INET if is_ipv4 else socket.AF_INET6, socket.SOCK_DGRAM)
        if source:
            # IP_TRANSPARENT and IPV6_TRANSPARENT (linux/in.h, linux/in6.h).
            one.setsockopt(*((socket.IPPROTO_IP, 19) if is_ipv4 else (socket.IPPROTO_IPV6, 75)), 1)
            one.bind((source[0], 0))
        sockets.append((one, address))
    print("ready", flush=True)
    while True:
        for one, address in sockets:
            try:
                one.sendto(b"let me in", socket.MSG_DONTWAIT, (address, FORBIDDEN))
            except OSError:
                pass
        time.sleep(INTERVAL)


def overflows():
    """Packets that the kernel has dropped since its start because a processor's queue was full."""
    with open("/proc/net/softnet_stat") as file:
        return sum(int(line.split()[1], 16) for line in file)


def opened(kind, address):
    family = socket.AF_INET if ipaddress.ip_address(address).version == 4 else socket.AF_INET6
    end = time.monotonic() + 30
    while True:
        # Addresses and routes come when the node is ready.
        try:
            return kind(address, family)
        except OSError as error:
            if time.monotonic() > end:
                sys.exit(f"{address}: {error}")
            time.sleep(0.1)


def drive(addresses):
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    # Streams first: their handshakes prove that the way is there, so that no datagram is sent too early.
    streams = [opened(Stream, address) for address in addresses]
    flows = streams + [opened(Datagrams, address) for address in addresses]
    before = overflows()
    selector = selectors.DefaultSelector()
    for flow in flows:
        selector.register(flow.socket, selectors.EVENT_READ, flow)

    def turn(is_sending):
        for key, _ in selector.select(INTERVAL):
            key.data.receive(time.monotonic())
            if getattr(key.data, "is_ended", False):
                selector.unregister(key.fileobj)
        if is_sending:
            for flow in flows:
                flow.send(time.monotonic())

    is_told = False
    while not ended:
        turn(True)
        if not is_told and all(flow.is_warm() for flow in flows):
            print("ready", flush=True)
            is_told = True
    patience = time.monotonic() + PATIENCE
    while time.monotonic() < patience and not all([flow.is_done() for flow in flows]):
        turn(False)
    lost = 0
    faults = []
    for flow in flows:
        flow.finish()
        line, fault, count = flow.report()
        lost += count
        if fault:
            faults.append(fault)
        print(line + (f": {fault}" if fault else ""))
    dropped = overflows() - before
    print(f"{dropped} packets of anybody's found a processor's queue full")
    is_excused = faults and lost <= dropped and all(fault.startswith("lost") for fault in faults)
    print("every packet came back" if not faults else "nothing to tell" if is_excused else "packets were lost")


{"serve": lambda _: serve(), "drive": drive, "intrude": intrude}[sys.argv[1]](sys.argv[2:])
