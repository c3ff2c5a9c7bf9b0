"""A door to a Valkey through which every answer comes, but as late as one likes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path


class SlowDoor:
    """Forwards connections to a socket; each piece of an answer leaves `delay_s` after it came, none before another."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._under_way: set[asyncio.Task[None]] = set()
        self.delay_s = 0.0
        self.url = ""

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        behind_reader, behind_writer = await asyncio.open_unix_connection(str(self._socket))
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
    door = SlowDoor(socket)
    server = await asyncio.start_server(door.take, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    door.url = f"redis://127.0.0.1:{port}"
    try:
        yield door
    finally:
        server.close()
        door.close()
        await asyncio.sleep(0)
