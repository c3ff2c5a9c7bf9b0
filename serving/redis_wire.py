"""One connection to Redis: commands go out as they come, replies are told at once, pushed messages between them.

RESP3 (https://redis.io/docs/latest/develop/reference/protocol-spec/) puts invalidations of client-side caching into the
same stream as replies. So there is no moment at which a reply is overtaken by the message that makes it old, as long as
both are handled where they are read, and not in a task that runs later: hence callbacks, not futures, at this level.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast

import hiredis

Reply = Any
OnReply = Callable[[Reply], None]
Argument = bytes | str | int

_pack: Callable[[tuple[Argument, ...]], bytes] = cast(Any, hiredis.pack_command)  # its stub knows one argument only
_NOTHING = object()
_LARGEST_BACKLOG = 20_000
"""Commands that wait for a reply; more mean that Redis is not there."""


class WireError(ConnectionError):
    """Redis cannot be asked now: not connected, the connection broke, or too much waits already."""


class Wire(asyncio.Protocol):
    """Pipelines everything: any number of commands may be under way."""

    def __init__(self, on_push: Callable[[Sequence[Any]], None], on_lost: Callable[[], None]) -> None:
        """`on_push` gets each pushed message, in its place among the replies; `on_lost` is called once at the end."""
        self._on_push, self._on_lost = on_push, on_lost
        self._reader = hiredis.Reader(notEnoughData=_NOTHING)
        self._waiting: deque[OnReply] = deque()
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes] = []
        self._loop = asyncio.get_running_loop()

    @property
    def is_open(self) -> bool:
        """Whether commands can be sent."""
        return self._transport is not None

    @property
    def under_way(self) -> int:
        """Commands without a reply so far."""
        return len(self._waiting)

    def send(self, on_reply: OnReply, *command: Argument) -> None:
        """Send a command; `on_reply` gets the reply, which may be a `hiredis.ReplyError`, or a WireError.

        Commands of one turn of the loop leave together.

        Raises:
            WireError: there is no connection, or too many commands wait.
            UnicodeEncodeError: a text is none that can be sent.
        """
        if self._transport is None or len(self._waiting) >= _LARGEST_BACKLOG:
            raise WireError("no connection to Redis" if self._transport is None else "Redis does not keep up")
        packed = _pack(command)  # first: whoever waits for what was never sent would get the reply of somebody else
        self._waiting.append(on_reply)
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(packed)

    async def call(self, *command: Argument) -> Reply:
        """Send a command and wait for its reply.

        Raises:
            WireError: the connection is not there, or broke.
            hiredis.ReplyError: Redis refused.
        """
        future: asyncio.Future[Reply] = self._loop.create_future()
        self.send(lambda reply: settle(future, reply), *command)
        return await future

    def close(self) -> None:
        """Drop the connection at once; whoever waits gets a WireError."""
        if self._transport is not None:
            self._transport.abort()
            self._lost()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """For the event loop."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """For the event loop."""
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not _NOTHING:
                if isinstance(reply, hiredis.PushNotification):
                    self._on_push(reply)
                else:
                    self._waiting.popleft()(reply)
        except (hiredis.ProtocolError, IndexError):  # not Redis, or out of step: nothing after this can be trusted
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """For the event loop."""
        self._lost()

    def _flush(self) -> None:
        out, self._out = self._out, []
        if self._transport is not None:
            self._transport.writelines(out)

    def _lost(self) -> None:
        if self._transport is None:
            return
        self._transport = None
        waiting, self._waiting = self._waiting, deque()
        self._on_lost()
        for on_reply in waiting:
            on_reply(WireError("the connection to Redis broke"))


def settle(future: asyncio.Future[Reply], reply: Reply) -> None:
    """Give a reply to whoever waits for it, if somebody still does."""
    if future.done():
        return
    if isinstance(reply, Exception):
        future.set_exception(reply)
    else:
        future.set_result(reply)
