"""Binds the clock of a quiet topic to a stream of pulses that has the source's watermarks."""

import time
from typing import Any

from pyflink.common import Row
from pyflink.datastream import KeyedProcessFunction, RuntimeContext

from operators.bytes_state import bytes_value
from operators.shipping import Shipped
from operators.short_way import take_short_way
from state.quiet_clock import QuietClock


class QuietClockOperator(Shipped, KeyedProcessFunction):  # type: ignore[misc]
    """Input: a pulse a second, all of one key. Output: (key, event time in ms), while the source is quiet."""

    def __init__(self, patience_ms: int, allowed_lateness_ms: int) -> None:
        """Both are pickled."""
        self._patience_ms, self._allowed_lateness_ms = patience_ms, allowed_lateness_ms

    def open(self, runtime_context: RuntimeContext) -> None:
        """Register the state, which can be read only once a pulse has come."""
        take_short_way()
        self._state = bytes_value(runtime_context, "quiet-clock")
        self._opened_ms = _wall_clock_ms()
        self._clock: QuietClock | None = None

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Any:
        """A pulse."""
        if self._clock is None:
            packed = self._state.value()
            self._clock = QuietClock(self._patience_ms, self._allowed_lateness_ms, self._opened_ms, packed)
        tick_ms = self._clock.pulse(ctx.timer_service().current_watermark(), _wall_clock_ms())
        self._state.update(self._clock.packed())
        return () if tick_ms is None else (Row(ctx.get_current_key(), tick_ms),)


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000
