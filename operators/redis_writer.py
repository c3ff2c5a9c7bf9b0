"""The Redis writer: collects writes in Flink state and brings them to Redis in batches, at least once, in order."""

from dataclasses import dataclass
from time import monotonic
from typing import Any, Final, NamedTuple

from pyflink.datastream import KeyedProcessFunction, RuntimeContext, TimeDomain

from operators.bytes_state import bytes_list
from operators.metrics import WriterMetrics
from operators.redis_connection import RedisConnection, RedisTarget
from operators.shipping import Shipped
from operators.short_way import take_short_way
from operators.types import END_OF_TIME_MS

SETTLED_EVERY_MS = 1_000
"""Of event time. Watermarks come twenty times a second, and to wait for Redis each time was a tenth of all time."""
LOOKED_AFTER = 16
"""Writes, after which it is seen whether Redis has answered for the batch before."""


@dataclass(frozen=True, slots=True)
class RedisBatching:
    """When a batch leaves."""

    most_writes: int = 512
    most_bytes: int = 1 << 20
    wait_ms: int = 50
    """Processing time that a write waits at most for others."""
    few_writes: int = 32
    """So many take Redis a millisecond or two: its answer is waited for at once."""


def settled_ms(time_ms: int) -> int:
    """Event time which no watermark has reached behind a writer before all is written that came to it before `time_ms`
    was reached there."""
    return -(-time_ms // SETTLED_EVERY_MS) * SETTLED_EVERY_MS


class Stored(NamedTuple):
    """What is in the state of a shard: the numbers of the batches of its oldest and of its newest write."""

    oldest: int
    newest: int


NOTHING: Final = Stored(2**63, -1)
Write = tuple[str, bytes]
"""(shard, write)"""


class RedisWriter(Shipped, KeyedProcessFunction):  # type: ignore[misc]
    """Input: (shard, write). Writes leave the state only after Redis has answered, so that a restart repeats them.

    A watermark that reaches another whole second (`SETTLED_EVERY_MS`) goes on only after all writes that came before it
    have left. Else nobody waits for Redis where there is much to write: it works on one batch while the next one is
    collected, and has mostly answered when that is due.

    Flink shows the state of one shard at a time. So writes are kept in memory as well, and whenever a batch is due, all
    shards of the subtask go in one: Redis is asked once, not once a shard. What it has answered for goes from the state
    of the shard whose turn it is; from that of the others at their own timer, or before their next write. A restart in
    between repeats it.
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
        self.begin()

    def begin(self) -> None:
        """Nothing is known of what the state has: as after a restart."""
        self._waiting: list[Write] = []
        """Writes of all shards that Redis has not been asked to apply, in their order."""
        self._waiting_bytes = 0
        self._asked: list[Write] = []
        """The batch before, for which it has not answered."""
        self._asked_s = 0.0
        self._batch = 0
        """The number of the batch that waits."""
        self._stored: dict[str, Stored] = {}
        """What is in the state of each shard; unknown after a restart."""

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Any:
        """One write."""
        shard = ctx.get_current_key()
        stored = self._stored.get(shard) or self._restore(shard, ctx)
        if stored is not NOTHING:
            stored = self._let_go(shard, stored)
        self._pending.add(value)
        self._waiting.append((shard, value))
        self._waiting_bytes += len(value)
        if self._asked and not len(self._waiting) % LOOKED_AFTER and self._connection.has_answered():
            self._answer()
        if stored.newest != self._batch:  # the first one of this batch
            self._wait(ctx.timer_service())
            self._stored[shard] = Stored(min(stored.oldest, self._batch), self._batch)
        if len(self._waiting) >= self._batching.most_writes or self._waiting_bytes >= self._batching.most_bytes:
            self._ask()
            self._let_go(shard, self._stored[shard])
        return ()

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Any:
        """The oldest write has waited long enough, a watermark is to go on, or the input has ended."""
        shard = ctx.get_current_key()
        stored = self._stored.get(shard) or self._restore(shard, ctx)
        self._ask()
        if ctx.time_domain() == TimeDomain.EVENT_TIME:
            self._answer()
        if self._let_go(shard, stored) is not NOTHING:
            self._wait_for_answer(ctx.timer_service())
        return ()

    def close(self) -> None:
        """Drop the connection."""
        if hasattr(self, "_connection"):
            self._connection.close()

    def _restore(self, shard: str, ctx: Any) -> Stored:
        """A shard's first write or timer in this run of the operator: what was pending before is in the state."""
        if self._bounded:
            ctx.timer_service().register_event_time_timer(END_OF_TIME_MS)
        pending = list(self._pending.get() or ())
        self._waiting += [(shard, write) for write in pending]
        self._waiting_bytes += sum(map(len, pending))
        if pending:
            self._wait(ctx.timer_service())
        stored = self._stored[shard] = Stored(self._batch, self._batch) if pending else NOTHING
        return stored

    def _let_go(self, shard: str, stored: Stored) -> Stored:
        """Take out of the current shard's state what Redis has answered for."""
        answered = self._batch - bool(self._asked)
        if stored.oldest >= answered:
            return stored
        if stored.newest < answered:
            self._pending.clear()
            left = NOTHING
        else:
            self._pending.update([write for one, write in (*self._asked, *self._waiting) if one == shard])
            left = Stored(answered, stored.newest)
        self._stored[shard] = left
        return left

    def _wait(self, timers: Any) -> None:
        self._wait_for_answer(timers)
        if not self._bounded:
            timers.register_event_time_timer(settled_ms(timers.current_watermark() + 1))

    def _wait_for_answer(self, timers: Any) -> None:
        wait_ms = self._batching.wait_ms
        now_ms = timers.current_processing_time()
        timers.register_processing_time_timer((now_ms // wait_ms + 1) * wait_ms)  # same instant, same timer

    def _ask(self) -> None:
        """Wait for the answer to the batch before, then have Redis apply what waits, if anything does."""
        self._answer()
        if self._waiting:
            self._asked, self._asked_s = self._waiting, monotonic()
            self._waiting, self._waiting_bytes = [], 0
            self._batch += 1
            self._connection.ask([write for _, write in self._asked])
            if len(self._asked) <= self._batching.few_writes:
                self._answer()

    def _answer(self) -> None:
        """Wait for the answer to what was asked."""
        if self._asked:
            applied, older = self._connection.answer()
            self._asked = []
            self._metrics.sent(applied, older, self._asked_s)
