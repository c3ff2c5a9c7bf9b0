"""The ASSIGN operator: binds an `AssignLogic` to standings keyed by customer and to what is broadcast."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from pyflink.common import Row
from pyflink.datastream import RuntimeContext
from pyflink.datastream.functions import KeyedBroadcastProcessFunction

from operators.broadcast_view import BroadcastView
from operators.bytes_state import as_they_are, bytes_by_string, writable
from operators.every_key import watermark_ms
from operators.logic import AssignFactory, Channel, Output
from operators.metrics import AssignMetrics
from operators.own_key import own_key
from operators.pace import Pace
from operators.rounds import Rounds
from operators.shipping import Shipped
from operators.short_way import take_short_way
from operators.stores import FlinkValueStore
from operators.tags import CHANGE_RECORDS, MEMBERSHIP_RECORDS, SEGMENT_CHANGES
from operators.types import END_OF_TIME_MS
from schemas.decode import wall_clock_ms

STATE = "assign"
"""Name of the broadcast state."""
WAKE_EVERY_S, WAKE_SHARE = 10.0, 0.05
"""Rounds begin at most so often, by the wall clock, and take at most this share of the time. Who comes meanwhile is
seen with the newest view anyway."""
HISTORY_MS, HISTORY_SHARE = 3_600_000, 0.005
"""While what is read is older than this, by the wall clock, for at most that share: views follow one another fast then,
and nobody is waiting to be shown how customers stood last month."""


class AssignOperator(Shipped, KeyedBroadcastProcessFunction):  # type: ignore[misc]
    """Main output: (own key, Redis write). Changes and memberships leave by side outputs.

    In thread mode every customer is looked at when there is a new view, in a round that lets others pass. In process
    mode nobody can list the keys: there customers follow when their own facts are next said.
    """

    def __init__(self, factory: AssignFactory, *, bounded: bool, keys: Sequence[str] = ("0",)) -> None:
        """The factory is pickled; the logic is made where the operator runs. `keys`: as in CustomerBinding."""
        self._factory, self._bounded, self._keys = factory, bounded, keys

    def open(self, runtime_context: RuntimeContext) -> None:
        """Make the logic and register the state; what was broadcast before is read with the first record or timer."""
        take_short_way()
        self._logic = self._factory()
        self._own_key = own_key(runtime_context, self._keys)
        self._store = FlinkValueStore(runtime_context, "assigned")
        self._descriptor = bytes_by_string(STATE)
        self._view = BroadcastView()
        self._begun = self._to_wake = False
        self._pace = Pace(WAKE_EVERY_S, WAKE_SHARE)
        self._rounds = Rounds(runtime_context, "assigned")
        self._with_last_timer: set[str] = set()
        self._watermark_ms = partial(watermark_ms, runtime_context)
        self._metrics = AssignMetrics(runtime_context, self._logic.tally)

    def process_element(self, value: bytes, ctx: KeyedBroadcastProcessFunction.ReadOnlyContext) -> Any:
        """A customer's standing."""
        key, timers = ctx.get_current_key(), ctx.timer_service()
        now_ms = timers.current_watermark()
        if not self._begun:
            self._begin(ctx, now_ms)
        if self._bounded and key not in self._with_last_timer:
            self._with_last_timer.add(key)
            timers.register_event_time_timer(END_OF_TIME_MS)
        return self._done(timers, now_ms, *self._logic.on_standing(key, value, now_ms, self._store))

    def process_broadcast_element(self, value: Any, ctx: KeyedBroadcastProcessFunction.Context) -> Any:
        """A view, or a control record."""
        now_ms = self._watermark_ms(ctx)
        if not self._begun:
            self._begin(ctx, now_ms)
        self._view.write_to(as_they_are(ctx.get_broadcast_state(self._descriptor)))
        self._to_wake |= self._logic.on_broadcast(value[1], self._view)
        self._wake(now_ms)
        return ()

    def _wake(self, now_ms: int) -> None:
        """Begin a round if there is something new, but not over and over while a job catches up."""
        if not self._to_wake or self._rounds.under_way:
            return
        self._pace.share = HISTORY_SHARE if now_ms < wall_clock_ms() - HISTORY_MS else WAKE_SHARE
        if self._pace.is_due:
            self._to_wake = False
            self._pace.begin_round()
            self._pace.begin_part()
            self._rounds.begin(now_ms)
            self._pace.end_part()

    def on_timer(self, timestamp: int, ctx: KeyedBroadcastProcessFunction.OnTimerContext) -> Any:
        """Time has passed for one key, or it is the turn of some."""
        timers = ctx.timer_service()
        now_ms = timers.current_watermark()
        if not self._begun:
            self._begin(ctx, now_ms)
        key = ctx.get_current_key()
        if self._rounds.is_time(key, timestamp):
            return self._looked_at(timestamp, timers, now_ms)
        return self._done(timers, now_ms, *self._logic.on_timer(key, timestamp, now_ms, self._store))

    def _looked_at(self, time_ms: int, timers: Any, now_ms: int) -> Iterator[Any]:
        """A slice of a round."""
        self._pace.begin_part()
        for key in self._rounds.slice(now_ms):
            wake_ms, outputs = self._logic.on_timer(key, time_ms, now_ms, self._store)
            yield from self._done(timers, now_ms, wake_ms, outputs)
        self._pace.end_part()

    def close(self) -> None:
        """Show the last counts."""
        if hasattr(self, "_metrics"):
            self._metrics.show()

    def _begin(self, ctx: Any, now_ms: int) -> None:
        self._begun = True
        state = as_they_are(ctx.get_broadcast_state(self._descriptor))
        anytime = writable(state)
        if anytime is None:
            self._view.read_from(state)
        else:
            self._view.write_to(anytime)
        self._to_wake = self._logic.on_start(self._view)
        self._wake(now_ms)

    def _done(self, timers: Any, now_ms: int, wake_ms: int | None, outputs: Iterable[Output]) -> Any:
        if wake_ms is not None:
            timers.register_event_time_timer(wake_ms)
        self._wake(now_ms)
        self._metrics.passed()
        return self._emitted(outputs) if outputs else ()

    def _emitted(self, outputs: Iterable[Output]) -> Iterator[Any]:
        for channel, key, payload in outputs:
            if channel == Channel.REDIS:
                yield Row(self._own_key, payload)
            elif channel == Channel.MEMBERSHIPS:
                yield MEMBERSHIP_RECORDS, Row(key, payload)
            elif self._bounded:
                yield SEGMENT_CHANGES, payload.decode()
            else:
                yield CHANGE_RECORDS, Row(key, payload)
