"""The ITEM operator: binds an `ItemLogic` to messages keyed by `relation|item`, and an `ExperimentLogic` beside it.

What customers tell of experiments, keyed by `experiment|name`, is one more thing to be added up by key: an operator of
its own would cost each subtask a thread and every watermark a hop, for a few messages.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pyflink.common import Row
from pyflink.datastream import KeyedProcessFunction, RuntimeContext

from operators.announced import ANNOUNCED, Announced
from operators.logic import Channel, ExperimentFactory, ItemFactory, Output
from operators.own_key import own_key
from operators.shipping import Shipped
from operators.short_way import take_short_way
from operators.stores import FlinkPendingStore
from operators.tags import REDIS, TOTALS
from operators.types import END_OF_TIME_MS
from state.experiments.logic import ExperimentLogic, is_about_experiment


class ItemOperator(Shipped, KeyedProcessFunction):  # type: ignore[misc]
    """Main output: (relation|item, row). Totals and Redis writes leave by side outputs."""

    def __init__(
        self,
        factory: ItemFactory,
        *,
        bounded: bool,
        keys: Sequence[str] = ("0",),
        experiments: ExperimentFactory = ExperimentLogic,
    ) -> None:
        """Factories are pickled; the logic is made where the operator runs. `keys`: as in CustomerBinding."""
        self._factory, self._bounded, self._keys = factory, bounded, keys
        self._experiment_factory = experiments

    def open(self, runtime_context: RuntimeContext) -> None:
        """Make the logic and register the state."""
        take_short_way()
        self._logic = self._factory()
        self._experiments = self._experiment_factory()
        self._own_key = own_key(runtime_context, self._keys)
        self._store = FlinkPendingStore(runtime_context, "item")
        self._with_last_timer: set[str] = set()
        self._announced = Announced(runtime_context, "item")

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Any:
        """One message, or an announcement: then the key only brings it to this subtask."""
        key = ctx.get_current_key()
        if value[0] == ANNOUNCED:
            new = self._announced.take(value, ctx.timer_service().current_watermark())
            return [(TOTALS, Row(key, value))] if new else ()
        if self._announced.times_ms:
            self._announced.wake(ctx.timer_service())
        if self._bounded and key not in self._with_last_timer:
            self._with_last_timer.add(key)
            ctx.timer_service().register_event_time_timer(END_OF_TIME_MS)
        if is_about_experiment(key):
            timers = ctx.timer_service()
            wake_ms = self._experiments.on_message(key, value, timers.current_watermark(), self._store)
            if wake_ms is not None:
                timers.register_event_time_timer(wake_ms)
            return ()
        outputs = self._logic.on_message(key, value, self._store)
        return self._emitted(outputs) if outputs else ()

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Any:
        """All lists are to be written, or the input has ended: final row and total. Or an experiment is due."""
        key = ctx.get_current_key()
        if is_about_experiment(key):
            return self._emitted(self._experiments.on_time(key, timestamp, self._store))
        if timestamp == END_OF_TIME_MS:
            return self._emitted(self._logic.on_end(key, self._store))
        return self._emitted(self._logic.on_publication(key, self._store))

    def _emitted(self, outputs: Iterable[Output]) -> Iterator[Any]:
        for channel, key, payload in outputs:
            if channel == Channel.ROW:
                yield Row(key, payload)
            elif channel == Channel.TOTAL:
                yield TOTALS, Row(key, payload)
            else:
                yield REDIS, Row(self._own_key, payload)
