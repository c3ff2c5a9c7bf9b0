"""The GATHER operator: binds a `GatherLogic` to what customers of a subtask tell the population."""

from typing import Any

from pyflink.common import Row
from pyflink.datastream import KeyedProcessFunction, RuntimeContext

from operators.logic import GatherFactory
from operators.shipping import Shipped
from operators.short_way import take_short_way
from operators.stores import FlinkPendingStore

MERGER_KEY = ""
"""There is one population."""


class GatherOperator(Shipped, KeyedProcessFunction):  # type: ignore[misc]
    """Input: (own key of a subtask, message). Output: (the population's key, parcel), one for each interval."""

    def __init__(self, factory: GatherFactory) -> None:
        """The factory is pickled; the logic is made where the operator runs."""
        self._factory = factory

    def open(self, runtime_context: RuntimeContext) -> None:
        """Make the logic and register the state."""
        take_short_way()
        self._logic = self._factory()
        self._store = FlinkPendingStore(runtime_context, "gather")
        self._wakes: dict[str, int] = {}

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Any:
        """A customer's message."""
        key, timers = ctx.get_current_key(), ctx.timer_service()
        wake_ms = self._logic.on_message(value, timers.current_watermark(), self._store)
        if self._wakes.get(key) != wake_ms:
            self._wakes[key] = wake_ms
            timers.register_event_time_timer(wake_ms)
        return ()

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Any:
        """An interval is over."""
        watermark_ms = ctx.timer_service().current_watermark()
        return [Row(MERGER_KEY, parcel) for parcel in self._logic.on_time(timestamp, watermark_ms, self._store)]
