"""A connection to Redis that is always being kept: opened, watched, opened again; and told of what changes there.

Client-side caching (https://redis.io/docs/latest/develop/reference/client-side-caching/), default mode: the server
remembers which keys this connection has read and sends one message when one of them changes.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import hiredis

from serving.breaker import Breaker, BreakerState
from serving.redis_address import RedisAddress
from serving.redis_wire import Argument, OnReply, Reply, Wire, WireError, settle

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 1.0
FIRST_LOOK_S = 0.01
LATE_S = 0.005
PING_EVERY_S, PING_WITHIN_S = 0.5, 1.0
"""A server that says nothing for longer than both is taken for gone; so long may a change remain unheard."""

WRONG_TYPE = "WRONGTYPE"
Changed = Callable[[Sequence[str] | None], None]


class Unavailable(ConnectionError):  # noqa: N818  (as RedisFailure)
    """Redis gave no answer in time."""


class RedisLink:
    """Commands to one Redis, each with a time limit; fails at once while Redis is known to be gone."""

    def __init__(
        self, address: RedisAddress, on_changed: Changed, on_lost: Callable[[], None], patience_s: float
    ) -> None:
        """Nothing is connected before `run`.

        Args:
            address: where.
            on_changed: called with keys that others have changed; None: all.
            on_lost: called when changes may go unheard.
            patience_s: a reply that takes longer is no success, though whoever asked may have the time.
        """
        self._address, self._on_changed, self._on_lost = address, on_changed, on_lost
        self._patience_s = patience_s
        self._wire: Wire | None = None
        self._breaker = Breaker()
        self.reconnects = -1
        """How often the connection was opened again."""
        self.refusal: str | None = None
        """The kind of error that Redis answered the greeting with, if it did not let us in."""

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._wire is not None and self._wire.is_open

    @property
    def breaker(self) -> BreakerState:
        """Whether Redis is asked at all."""
        return self._breaker.state

    def send(self, on_reply: OnReply, *command: Argument) -> None:
        """Send a command; see `Wire.send`.

        Raises:
            Unavailable: there is no connection, or Redis has failed too often just now.
        """
        if self._wire is None or not self._breaker.allows():
            raise Unavailable("Redis cannot be asked now")
        try:
            self._wire.send(on_reply, *command)
        except WireError as error:
            raise Unavailable(str(error)) from None

    async def wait(self, future: asyncio.Future[Reply], within_s: float) -> Reply:
        """The reply that the future gets, if it comes within so many seconds.

        Only a reply in time is a success to the circuit breaker: Redis may answer everything, and always too late.

        Raises:
            Unavailable: it does not, or the connection broke.
            hiredis.ReplyError: the key holds a value of another kind.
        """
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        timer = loop.call_later(within_s, _expire, loop, future, began_s + within_s)
        try:
            reply = await future
            self._answered(within_s, loop.time() - began_s)
        except WireError as error:
            self._breaker.failed()
            raise Unavailable(f"no answer from Redis: {error}") from None
        except hiredis.ReplyError as error:
            self._answered(within_s, loop.time() - began_s)
            if str(error).startswith(WRONG_TYPE):
                raise
            raise Unavailable(f"Redis refuses: {error}") from None  # loading, busy, not allowed, …
        finally:
            timer.cancel()
        return reply

    async def call(self, within_s: float, *command: Argument) -> Reply:
        """Send a command and wait for the reply; raises as `send` and `wait` do."""
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.send(lambda reply: settle(future, reply), *command)
        return await self.wait(future, within_s)

    def _answered(self, within_s: float, took_s: float) -> None:
        """Redis has answered somebody who waited so long at most."""
        if min(within_s, took_s) <= self._patience_s:
            self._breaker.succeeded()

    async def first(self, within_s: float) -> None:
        """Return when there is a connection, or after so many seconds."""
        until = time.monotonic() + within_s
        while not self.connected and time.monotonic() < until:
            await asyncio.sleep(FIRST_LOOK_S)

    async def run(self) -> None:
        """Keep the connection until cancelled."""
        pause_s = FIRST_PAUSE_S
        try:
            while True:
                with suppress(OSError, TimeoutError, hiredis.HiredisError):
                    await self._connect()
                    pause_s = FIRST_PAUSE_S
                    await self._watch()
                self._drop()
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        finally:
            self._drop()

    async def _connect(self) -> None:
        wire = await self._address.open(lambda: Wire(self._pushed, self._on_lost))
        self.refusal = None
        try:
            async with asyncio.timeout(PING_WITHIN_S):
                for command in self._address.greeting():
                    await wire.call(*command)
        except hiredis.ReplyError as error:
            self.refusal = str(error).partition(" ")[0]  # the rest may repeat what was sent, a password included
            wire.close()
            raise
        except BaseException:
            wire.close()
            raise
        self._breaker.succeeded()
        self.reconnects += 1
        self._wire = wire

    async def _watch(self) -> None:
        """Until the connection breaks or the server says nothing."""
        wire = self._wire
        while wire is not None and wire.is_open:
            async with asyncio.timeout(PING_WITHIN_S):
                await wire.call("PING")
            await asyncio.sleep(PING_EVERY_S)

    def _drop(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()

    def _pushed(self, message: Sequence[Any]) -> None:
        if message[0] == b"invalidate":
            keys = message[1]
            self._on_changed(None if keys is None else [key.decode("utf-8", "surrogateescape") for key in keys])


def _expire(loop: asyncio.AbstractEventLoop, future: asyncio.Future[Reply], due_s: float) -> None:
    """The time is over; but if this process was held up itself, the reply may be there and only not be read yet."""
    late = WireError("too slow")
    if loop.time() - due_s > LATE_S:
        loop.call_later(LATE_S, settle, future, late)
    else:
        settle(future, late)
