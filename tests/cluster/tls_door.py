"""TLS in front of a server that has none itself, as stunnel does it."""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PIECE_BYTES = 64 << 10


@contextmanager
def tls_door(port: int, context: ssl.SSLContext, socket: Path) -> Iterator[None]:
    """What comes in by TLS on a port of loopback goes on to a socket of this machine, and back, during the block."""
    loop = asyncio.new_event_loop()

    async def enter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inside_reader, inside_writer = await asyncio.open_unix_connection(socket)
        with suppress(OSError):
            await asyncio.gather(_carry(reader, inside_writer), _carry(inside_reader, writer))

    server = loop.run_until_complete(asyncio.start_server(enter, "127.0.0.1", port, ssl=context))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.close()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


async def _carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while piece := await source.read(_PIECE_BYTES):
            target.write(piece)
            await target.drain()
    finally:
        target.close()
