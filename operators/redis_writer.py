"""The Redis writer: collects writes in Flink state and brings them to Redis in batches, at least once, in order."""

from dataclasses import dataclass
from time import monotonic
from typing import Any

from pyflink.datastream import KeyedProcessFunction, RuntimeContext

from operators.bytes_state import bytes_list
from operators.metrics import WriterMetrics
from operators.redis_connection import RedisConnection, RedisTarget
from operators.shipping import Shipped
from operators.short_way import take_short_way
from operators.types import END_OF_TIME_MS


@dataclass(frozen=True, slots=True)
class RedisBatching:
    """When a batch leaves."""

    most_writes: int = 512
    most_bytes: int = 1 << 20
    wait_ms: int = 50
    """Processing time that a write waits at most for others."""


class RedisWriter(Shipped, KeyedProcessFunction):  # type: ignore[misc]
    """Input: (shard, write). Writes leave the state only after Redis has answered, so that a restart repeats them.

    A watermark goes on only after all writes that came before it have left.

    Flink shows the state of one shard at a time. So writes are kept in memory as well, and whenever a batch is due, all
    shards of the subtask go in one: Redis is asked once, not once a shard. What then still is in the state of the
    others goes at their own timer, or before their next write; a restart in between repeats it.
    """

    def __init__(self, target: RedisTarget, batching: RedisBatching, *, bounded: bool) -> None:
        """Target and batching are pickled; the connection is made where the operator runs.

        If the input ends (`bounded`) there is a last event-time timer: processing-time ones pending then never fire.
        """
        self._target, self._batching, self._bounded = target, batching, bounded

    def open(self, runtime_context: RuntimeContext) -> None:
        """Register the state; Redis is first spoken to with the first batch."""
        take_short_way()
        self._pending = bytes_list(runtime_context, "pending-writes")
        self._metrics = WriterMetrics(runtime_context)
        self._connection = RedisConnection(self._target, on_wait=self._metrics.waiting)
        self._waiting: list[bytes] = []
        """Writes of all shards that Redis has not answered for, in their order."""
        self._waiting_bytes = 0
        self._batch = 0
        """The number of the batch that waits."""
        self._stored: dict[str, int] = {}
        """By shard, the batch of the newest write in its state, which has a timer then; unknown after a restart."""

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Any:
        """One write."""
        shard = ctx.get_current_key()
        stored = self._stored.get(shard)
        if stored is None:
            stored = self._restore(ctx)
        elif _EMPTY < stored < self._batch:  # what is there has left with another shard's
            self._pending.clear()
        self._pending.add(value)
        self._waiting.append(value)
        self._waiting_bytes += len(value)
        if len(self._waiting) >= self._batching.most_writes or self._waiting_bytes >= self._batching.most_bytes:
            self._send()
            self._pending.clear()
            self._stored[shard] = _EMPTY
            return ()
        if stored == _EMPTY:
            self._wait(ctx.timer_service())
        self._stored[shard] = self._batch
        return ()

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Any:
        """The oldest write has waited long enough, or the input has ended."""
        shard = ctx.get_current_key()
        if shard not in self._stored:
            self._restore(ctx)
        self._send()
        if self._stored[shard] != _EMPTY:
            self._pending.clear()
            self._stored[shard] = _EMPTY
        return ()

    def close(self) -> None:
        """Drop the connection."""
        if hasattr(self, "_connection"):
            self._connection.close()

    def _restore(self, ctx: Any) -> int:
        """A shard's first write or timer in this run of the operator: what was pending before is in the state."""
        if self._bounded:
            ctx.timer_service().register_event_time_timer(END_OF_TIME_MS)
        pending = list(self._pending.get() or ())
        self._waiting += pending
        self._waiting_bytes += sum(map(len, pending))
        if pending:
            self._wait(ctx.timer_service())
        stored = self._stored[ctx.get_current_key()] = self._batch if pending else _EMPTY
        return stored

    def _wait(self, timers: Any) -> None:
        wait_ms = self._batching.wait_ms
        now_ms = timers.current_processing_time()
        timers.register_processing_time_timer((now_ms // wait_ms + 1) * wait_ms)  # same instant, same timer
        if not self._bounded:
            timers.register_event_time_timer(timers.current_watermark() + 1)

    def _send(self) -> None:
        if self._waiting:
            since_s = monotonic()
            applied, older = self._connection.send(self._waiting)
            self._metrics.sent(applied, older, since_s)
            self._waiting = []
            self._waiting_bytes = 0
            self._batch += 1


_EMPTY = -1
