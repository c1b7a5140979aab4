"""QUIC by aioquic: a server that takes and gives files, and its clients, in one event loop."""

import asyncio
import contextlib
import dataclasses
import hashlib
import time

from aioquic.asyncio import connect, serve
from aioquic.quic.configuration import QuicConfiguration

from support.services import HOST
from support.udp import unused_port
from support.waiting import DEADLINE

# What a file's name (one byte) asks for; the file itself goes the one way or the other.
UP, DOWN = b"U", b"D"

_ALPN = ["otoroshictl-test"]


@dataclasses.dataclass(frozen=True)
class Transfer:
    """What came of one file."""

    intact: bool
    seconds: float


class QuicServer:
    """On each stream: UP and a file is answered with its SHA-256, DOWN with the file."""

    def __init__(self, certificate, content):
        self.host, self.port = HOST, unused_port()
        self._content = content
        self._configuration = QuicConfiguration(is_client=False, alpn_protocols=_ALPN)
        self._configuration.load_cert_chain(certificate.chain, certificate.key)
        self._streams = set()

    @contextlib.asynccontextmanager
    async def running(self):
        server = await serve(
            self.host,
            self.port,
            configuration=self._configuration,
            stream_handler=self._on_stream,
        )
        try:
            yield self
        finally:
            server.close()

    def _on_stream(self, reader, writer):
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._streams.add(task)
        task.add_done_callback(self._streams.discard)

    async def _serve(self, reader, writer):
        wanted = await reader.readexactly(1)
        if wanted == DOWN:
            writer.write(self._content)
        else:
            writer.write(hashlib.sha256(await reader.read()).digest())
        writer.write_eof()


async def transfer(address, ca_file, direction, content):
    """One client: connects, moves `content` in the one direction, and looks whether it is whole."""
    configuration = QuicConfiguration(
        alpn_protocols=_ALPN, server_name="localhost", idle_timeout=DEADLINE
    )
    configuration.load_verify_locations(str(ca_file))
    started = time.monotonic()
    async with connect(address.host, address.port, configuration=configuration) as client:
        reader, writer = await client.create_stream()
        writer.write(direction + (content if direction == UP else b""))
        writer.write_eof()
        answer = await reader.read()
    expected = content if direction == DOWN else hashlib.sha256(content).digest()
    return Transfer(answer == expected, time.monotonic() - started)


async def transfer_all(server, address, ca_file, directions, content):
    """A client for each of `directions`, all at once, with the server beside them."""
    async with server.running():
        return await asyncio.wait_for(
            asyncio.gather(*(transfer(address, ca_file, way, content) for way in directions)),
            4 * DEADLINE,
        )
