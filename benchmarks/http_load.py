"""An open-loop load client: requests are due at a constant rate, whether or not earlier ones were answered.

Latency counts from when a request was due, not from when it was sent, so that a server that stalls cannot hide it
(coordinated omission: G. Tene, How NOT to Measure Latency, 2013; wrk2). One thread, plain sockets, no pipelining.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import uvloop

CONNECTIONS = 128
_GIVE_UP_S = 10.0


@dataclass(slots=True)
class Loaded:
    """What came of a load."""

    rate: float
    latencies_ms: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    degraded: int = 0
    unanswered: int = 0

    def percentile(self, share: float) -> float:
        """Of the latencies, in ms; what was never answered took for ever."""
        ordered = sorted(self.latencies_ms) + [float("inf")] * self.unanswered
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class _Connection(asyncio.Protocol):
    def __init__(self, load: "_Load") -> None:
        self._load, self._due_s, self._buffer = load, 0.0, bytearray()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def send(self, due_s: float, request: bytes) -> None:
        self._due_s = due_s
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._buffer[:end]).lower()
        place = head.index(b"content-length:")
        length = int(head[place + 15 :].partition(b"\r\n")[0])
        if len(self._buffer) < end + 4 + length:
            return
        self._load.answered(self, self._due_s, int(head[9:12]), b'"degraded":true' in self._buffer)
        self._buffer.clear()


class _Load:
    def __init__(self, rate: float) -> None:
        self.loaded = Loaded(rate)
        self.free: deque[_Connection] = deque()
        self.waiting: deque[tuple[float, bytes]] = deque()

    def answered(self, connection: _Connection, due_s: float, status: int, degraded: bool) -> None:
        self.loaded.latencies_ms.append((time.perf_counter() - due_s) * 1000)
        self.loaded.statuses[status] += 1
        self.loaded.degraded += degraded
        self.free.append(connection)
        self.pump()

    def pump(self) -> None:
        while self.waiting and self.free:
            self.free.popleft().send(*self.waiting.popleft())


def load(host: str, port: int, request: Callable[[], str], rate: float, seconds: float,
         headers: Sequence[str] = ()) -> Loaded:  # fmt: skip
    """Ask for paths at a rate, for some time."""
    return uvloop.run(_run(host, port, request, rate, seconds, headers))


async def _run(
    host: str, port: int, request: Callable[[], str], rate: float, seconds: float, headers: Sequence[str]
) -> Loaded:
    state, loop = _Load(rate), asyncio.get_running_loop()
    rest = "".join(f"{line}\r\n" for line in ("", f"host: {host}", *headers, "")).encode()
    for _ in range(CONNECTIONS):
        _, connection = await loop.create_connection(lambda: _Connection(state), host, port)
        state.free.append(connection)
    count = int(rate * seconds)
    asked = [b"GET " + request().encode() + b" HTTP/1.1" + rest for _ in range(count)]
    began_s = time.perf_counter()
    for number in range(count):
        due_s = began_s + number / rate
        while (left_s := due_s - time.perf_counter()) > 0:
            await asyncio.sleep(left_s)
        state.waiting.append((due_s, asked[number]))
        state.pump()
        if number % 64 == 0:
            await asyncio.sleep(0)  # late: let answers in all the same
    until = time.monotonic() + _GIVE_UP_S
    while len(state.free) < CONNECTIONS and time.monotonic() < until:
        await asyncio.sleep(0.01)
    state.loaded.unanswered = count - len(state.loaded.latencies_ms)
    return state.loaded
