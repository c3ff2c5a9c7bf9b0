"""The PUBLISH operator: binds a `PublishLogic` to rows keyed by `relation|item` and to broadcast totals."""

from collections.abc import Iterable, Iterator
from typing import Any

from pyflink.common import Row
from pyflink.datastream import RuntimeContext
from pyflink.datastream.functions import KeyedBroadcastProcessFunction

from operators.bytes_state import as_they_are, bytes_by_string
from operators.logic import Channel, Output, PublishFactory
from operators.redis_shards import shard_of
from operators.shipping import Shipped
from operators.short_way import take_short_way
from operators.stores import BroadcastTotals, FlinkValueStore
from operators.tags import SIMILAR_RECORDS
from operators.types import END_OF_TIME_MS


class PublishOperator(Shipped, KeyedBroadcastProcessFunction):  # type: ignore[misc]
    """Main output: (shard, Redis write); a live job's lists leave by a side output as well.

    (Thread mode knows no side outputs in `on_timer` here: a live job has no timers.)
    """

    def __init__(self, factory: PublishFactory, *, bounded: bool, redis_shards: int = 1) -> None:
        """The factory is pickled; the logic is made where the operator runs."""
        self._factory, self._bounded, self._shards = factory, bounded, redis_shards

    def open(self, runtime_context: RuntimeContext) -> None:
        """Make the logic and register the state."""
        take_short_way()
        self._logic = self._factory()
        self._store = FlinkValueStore(runtime_context, "published")
        self._descriptor = bytes_by_string()
        self._totals = BroadcastTotals()
        self._reading: Any = None
        self._writing: Any = None
        self._with_last_timer: set[str] = set()

    def process_broadcast_element(self, value: Any, ctx: KeyedBroadcastProcessFunction.Context) -> Any:
        """An item's total."""
        if self._writing is None:  # asking for the state costs far more than using it
            self._writing = as_they_are(ctx.get_broadcast_state(self._descriptor))
        self._totals.view = self._writing
        self._logic.on_total(value[1], self._totals)
        return ()

    def process_element(self, value: bytes, ctx: KeyedBroadcastProcessFunction.ReadOnlyContext) -> Any:
        """An item's row."""
        self._read(ctx)
        key = ctx.get_current_key()
        if self._bounded and key not in self._with_last_timer:
            self._with_last_timer.add(key)
            ctx.timer_service().register_event_time_timer(END_OF_TIME_MS)
        watermark_ms = ctx.timer_service().current_watermark()
        return self._emitted(self._logic.on_row(key, value, self._totals, self._store, watermark_ms))

    def on_timer(self, timestamp: int, ctx: KeyedBroadcastProcessFunction.OnTimerContext) -> Any:
        """The input has ended, and every total is final."""
        self._read(ctx)
        return self._emitted(self._logic.on_end(ctx.get_current_key(), self._totals, self._store))

    def _read(self, ctx: Any) -> None:
        if self._reading is None:
            self._reading = as_they_are(ctx.get_broadcast_state(self._descriptor))
        self._totals.view = self._reading

    def _emitted(self, outputs: Iterable[Output]) -> Iterator[Any]:
        for channel, key, payload in outputs:
            if channel == Channel.SIMILAR:
                yield SIMILAR_RECORDS, Row(key, payload)
            else:
                yield Row(shard_of(key, self._shards), payload)
