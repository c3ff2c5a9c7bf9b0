"""A door to a Redis on a port, through which every answer comes, but as late as a test likes."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from tests.serving.slow_door import SlowDoor


@contextmanager
def redis_door(port: int) -> Iterator[SlowDoor]:
    """Open during the block, without delay at first. Who comes while Redis is away is turned away."""
    loop = asyncio.new_event_loop()
    door = SlowDoor(partial(asyncio.open_connection, "127.0.0.1", port))
    server = loop.run_until_complete(door.open())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield door
    finally:
        server.close()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
