"""The PUBLISH operator: binds a `PublishLogic` to rows keyed by `relation|item` and to broadcast totals."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from pyflink.common import Row
from pyflink.datastream import RuntimeContext
from pyflink.datastream.functions import KeyedBroadcastProcessFunction

from operators.announced import ANNOUNCED, Announced
from operators.bytes_state import as_they_are, bytes_by_string
from operators.every_key import watermark_ms
from operators.logic import Channel, Output, PublishFactory
from operators.own_key import own_key
from operators.shipping import Shipped
from operators.short_way import take_short_way
from operators.stores import BroadcastTotals, FlinkValueStore
from operators.tags import SIMILAR_RECORDS
from operators.types import END_OF_TIME_MS


class PublishOperator(Shipped, KeyedBroadcastProcessFunction):  # type: ignore[misc]
    """Main output: (own key, Redis write); a live job's lists leave by a side output as well.

    (PyFlink knows no side outputs in `on_timer` here: those of a live job need operators/short_way.py.)
    """

    def __init__(self, factory: PublishFactory, *, bounded: bool, keys: Sequence[str] = ("0",)) -> None:
        """The factory is pickled; the logic is made where the operator runs. `keys`: as in CustomerBinding."""
        self._factory, self._bounded, self._keys = factory, bounded, keys

    def open(self, runtime_context: RuntimeContext) -> None:
        """Make the logic and register the state."""
        take_short_way()
        self._logic = self._factory()
        self._own_key = own_key(runtime_context, self._keys)
        self._store = FlinkValueStore(runtime_context, "published")
        self._descriptor = bytes_by_string()
        self._totals = BroadcastTotals()
        self._reading: Any = None
        self._writing: Any = None
        self._with_last_timer: set[str] = set()
        self._announced = Announced(runtime_context, "published")
        self._watermark_ms = partial(watermark_ms, runtime_context)

    def process_broadcast_element(self, value: Any, ctx: KeyedBroadcastProcessFunction.Context) -> Any:
        """An item's total, or an announcement."""
        if value[1][0] == ANNOUNCED:
            self._announced.take(value[1], self._watermark_ms(ctx))
            return ()
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
        if self._announced.times_ms:
            self._announced.wake(ctx.timer_service())
        now_ms = ctx.timer_service().current_watermark()
        return self._emitted(self._logic.on_row(key, value, self._totals, self._store, now_ms))

    def on_timer(self, timestamp: int, ctx: KeyedBroadcastProcessFunction.OnTimerContext) -> Any:
        """All lists are to be written, or the input has ended: every total has come."""
        self._read(ctx)
        if timestamp == END_OF_TIME_MS:
            return self._emitted(self._logic.on_end(ctx.get_current_key(), self._totals, self._store))
        return self._emitted(self._logic.on_publication(ctx.get_current_key(), timestamp, self._totals, self._store))

    def _read(self, ctx: Any) -> None:
        if self._reading is None:
            self._reading = as_they_are(ctx.get_broadcast_state(self._descriptor))
        self._totals.view = self._reading

    def _emitted(self, outputs: Iterable[Output]) -> Iterator[Any]:
        for channel, key, payload in outputs:
            if channel == Channel.SIMILAR:
                yield SIMILAR_RECORDS, Row(key, payload)
            else:
                yield Row(self._own_key, payload)
