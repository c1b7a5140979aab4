"""A game's server and players: state by source address, and more datagrams down than up.

Every datagram tells its player, and those of the server their place in the order, so that a
datagram of another player and a lost, doubled or foreign one all show.
"""

import collections
import select
import socket
import struct
import threading
import time

from support.services import HOST
from support.waiting import DEADLINE

_UP = struct.Struct("!HI")  # player, number
_DOWN = struct.Struct("!HI100x")  # player, number, and what else a game has to say


class _Clock:
    """Ticks at a rate. A tick that was missed is not made up for: what is late stays late."""

    def __init__(self, rate):
        self._interval = 1 / rate
        self._next = time.monotonic()

    def left(self):
        return max(0.0, self._next - time.monotonic())

    def ticks(self):
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = max(self._next + self._interval, now)
        return True


class GameServer:
    """Once it knows `players` of them, it sends each a datagram at each tick, `count` times.

    Those that it hears of earlier get theirs from then on, in addition.
    """

    def __init__(self, players, rate, count):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((HOST, 0))
        self.host, self.port = self._socket.getsockname()
        self.pushed = collections.Counter()  # by player
        self.ports = collections.defaultdict(set)  # by player: where its datagrams came from
        self.failure = None
        self._players, self._rate, self._count = players, rate, count
        self._addresses = {}
        self._done = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def done(self):
        return self._done.is_set()

    def _run(self):
        clock, left = _Clock(self._rate), self._count
        while not self._closing:
            if select.select([self._socket], [], [], clock.left() if left else None)[0]:
                self._listen()
            if left and clock.ticks():
                self._push()
                left -= len(self._addresses) >= self._players
                if not left:
                    self._done.set()

    def _listen(self):
        datagram, address = self._socket.recvfrom(2048)
        if len(datagram) != _UP.size:
            return  # close() wakes this thread
        player, _ = _UP.unpack(datagram)
        self._addresses[player] = address
        self.ports[player].add(address[1])

    def _push(self):
        for player, address in self._addresses.items():
            self._socket.sendto(_DOWN.pack(player, self.pushed[player]), address)
            self.pushed[player] += 1

    def close(self):
        self._closing = True
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", (self.host, self.port))
        self._thread.join(DEADLINE)
        self._socket.close()


class Players:
    """Clients of anything that has `host` and `port`, each with a socket of its own."""

    def __init__(self, where, count):
        self._sockets = {}
        for player in range(count):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.connect((where.host, where.port))
            sock.setblocking(False)
            self._sockets[sock] = player
        self.received = collections.defaultdict(list)  # by player: (player it is for, number)
        self.sent = 0

    def send(self):
        """One datagram of each."""
        for sock, player in self._sockets.items():
            sock.send(_UP.pack(player, self.sent))
        self.sent += 1

    def receive(self, seconds):
        """What comes until `seconds` have passed or something has come."""
        for sock in select.select(list(self._sockets), [], [], seconds)[0]:
            self.received[self._sockets[sock]].append(_DOWN.unpack(sock.recv(2048)))

    def play(self, server, rate):
        """Sends at this rate until the server has done its part."""
        clock = _Clock(rate)
        end = time.monotonic() + 4 * DEADLINE
        while not server.done:
            assert time.monotonic() < end, "the server has not heard of every player"
            if clock.ticks():
                self.send()
            self.receive(clock.left())

    def wait(self, server):
        """Waits for what the server sends after the players' last word, and is still to come."""
        end = time.monotonic() + 4 * DEADLINE
        while not server.done and time.monotonic() < end:
            self.receive(0.1)
        end = time.monotonic() + DEADLINE
        while self.missing(server) and time.monotonic() < end:
            self.receive(0.1)

    def missing(self, server):
        """How many of each player's own datagrams have not come; players without are left out."""
        came = {player: set(datagrams) for player, datagrams in self.received.items()}
        lost = {}
        for player, count in server.pushed.items():
            own = {(player, number) for number in range(count)}
            if own - came.get(player, set()):
                lost[player] = len(own - came.get(player, set()))
        return lost

    def foreign(self):
        """How many datagrams of others each player has got; players without are left out."""
        counts = collections.Counter(
            player
            for player, datagrams in self.received.items()
            for addressee, _ in datagrams
            if addressee != player
        )
        return dict(counts)

    def doubled(self):
        counts = {
            player: len(datagrams) - len(set(datagrams))
            for player, datagrams in self.received.items()
        }
        return {player: count for player, count in counts.items() if count}

    def close(self):
        for sock in self._sockets:
            sock.close()
