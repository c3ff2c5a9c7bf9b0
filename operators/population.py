"""The POPULATION operator: binds a `MergerLogic`, which learns what all customers have in common."""

from collections.abc import Iterable, Iterator
from typing import Any

from pyflink.common import Row
from pyflink.datastream import KeyedProcessFunction, RuntimeContext

from operators.logic import Channel, MergerFactory, Output
from operators.metrics import PopulationMetrics
from operators.shipping import Shipped
from operators.short_way import take_short_way
from operators.stores import FlinkPendingStore
from operators.tags import MODEL_RECORDS, MODELS, REDIS
from schemas.control import CONTROL_BYTE


class PopulationOperator(Shipped, KeyedProcessFunction):  # type: ignore[misc]
    """Input: parcels, and control records of a live job, all of one key. Main output: (that key, view)."""

    def __init__(self, factory: MergerFactory, *, bounded: bool) -> None:
        """The factory is pickled; the logic is made where the operator runs."""
        self._factory, self._bounded = factory, bounded

    def open(self, runtime_context: RuntimeContext) -> None:
        """Make the logic and register the state."""
        take_short_way()
        self._logic = self._factory()
        self._store = FlinkPendingStore(runtime_context, "population")
        self._metrics = PopulationMetrics(runtime_context, self._logic.tally)

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Any:
        """A parcel, or a control record."""
        if value[0] == CONTROL_BYTE:
            self._logic.on_control(value, self._store)
            return ()
        timers = ctx.timer_service()
        timers.register_event_time_timer(self._logic.on_parcel(value, timers.current_watermark(), self._store))
        return ()

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Any:
        """An interval is over."""
        outputs = self._logic.on_time(timestamp, ctx.timer_service().current_watermark(), self._store)
        self._metrics.show()
        return self._emitted(ctx.get_current_key(), outputs)

    def _emitted(self, own_key: str, outputs: Iterable[Output]) -> Iterator[Any]:
        for channel, key, payload in outputs:
            if channel == Channel.VIEW:
                yield Row(own_key, payload)
            elif channel == Channel.REDIS:
                yield REDIS, Row(own_key, payload)
            elif self._bounded:
                yield MODELS, payload.decode()
            else:
                yield MODEL_RECORDS, Row(key, payload)
