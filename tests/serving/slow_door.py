"""A door to a Valkey through which every answer comes, but as late as one likes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
"""Opens a connection to the server behind the door."""


class SlowDoor:
    """Forwards connections; each piece of an answer leaves `delay_s` after it came, none before another."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._under_way: set[asyncio.Task[None]] = set()
        self.delay_s = 0.0
        self.url = ""

    async def open(self) -> asyncio.Server:
        """Listen on a port of loopback; `url` says on which."""
        server = await asyncio.start_server(self.take, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return server

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection; closed at once if nobody is behind the door."""
        try:
            behind_reader, behind_writer = await self._connect()
        except OSError:
            writer.close()
            return
        loop = asyncio.get_running_loop()
        held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def there() -> None:
            while data := await reader.read(1 << 16):
                behind_writer.write(data)

        async def back() -> None:
            while data := await behind_reader.read(1 << 16):
                held.put_nowait((loop.time() + self.delay_s, data))

        async def out() -> None:
            while True:
                due_s, data = await held.get()
                await asyncio.sleep(due_s - loop.time())
                writer.write(data)

        with suppress(OSError, asyncio.CancelledError):
            ways = [asyncio.ensure_future(one()) for one in (there, back, out)]
            self._under_way.update(ways)
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            ways[-1].cancel()
        for one in (writer, behind_writer):
            one.close()

    def close(self) -> None:
        """Nothing goes through any more."""
        for task in self._under_way:
            task.cancel()


@asynccontextmanager
async def slow_door(socket: Path) -> AsyncIterator[SlowDoor]:
    """Open at `url`, without delay at first."""
    door = SlowDoor(partial(asyncio.open_unix_connection, str(socket)))
    server = await door.open()
    try:
        yield door
    finally:
        server.close()
        door.close()
        await asyncio.sleep(0)
