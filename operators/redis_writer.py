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
        self._sizes: dict[str, tuple[int, int]] = {}
        """(writes, bytes) pending of each shard: known again from the state after a restart."""

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Any:
        """One write."""
        shard = ctx.get_current_key()
        self._pending.add(value)
        writes, size = self._sizes.get(shard) or self._restored(ctx, len(value))
        writes, size = writes + 1, size + len(value)
        if writes >= self._batching.most_writes or size >= self._batching.most_bytes:
            self._flush(shard)
            return ()
        self._sizes[shard] = (writes, size)
        if writes == 1:
            self._wait(ctx.timer_service())
        return ()

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Any:
        """The oldest write has waited long enough, or the input has ended."""
        self._flush(ctx.get_current_key())
        return ()

    def close(self) -> None:
        """Drop the connection."""
        if hasattr(self, "_connection"):
            self._connection.close()

    def _restored(self, ctx: KeyedProcessFunction.Context, newest: int) -> tuple[int, int]:
        """A shard's first write in this run of the operator: what was pending before is in the state."""
        if self._bounded:
            ctx.timer_service().register_event_time_timer(END_OF_TIME_MS)
        pending = [len(write) for write in self._pending.get() or ()]
        if len(pending) > 1:
            self._wait(ctx.timer_service())
        return len(pending) - 1, sum(pending) - newest

    def _wait(self, timers: Any) -> None:
        wait_ms = self._batching.wait_ms
        now_ms = timers.current_processing_time()
        timers.register_processing_time_timer((now_ms // wait_ms + 1) * wait_ms)  # same instant, same timer
        if not self._bounded:
            timers.register_event_time_timer(timers.current_watermark() + 1)

    def _flush(self, shard: str) -> None:
        writes = list(self._pending.get() or ())
        if writes:
            since_s = monotonic()
            applied, older = self._connection.send(writes)
            self._metrics.sent(applied, older, since_s)
            self._pending.clear()
        self._sizes[shard] = (0, 0)
