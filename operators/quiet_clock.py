"""Binds the clock of the live job to a stream of pulses that has the source's watermarks."""

import time
from collections.abc import Mapping
from typing import Any, Final

from pyflink.common import Row
from pyflink.datastream import KeyedProcessFunction, RuntimeContext

from operators.bytes_state import bytes_value
from operators.shipping import Shipped
from operators.short_way import take_short_way
from operators.tags import CONTROL_RECORDS, REDIS
from schemas.writes import meta_write
from state.quiet_clock import QuietClock
from state.stops import Stops

META_SHARD: Final = "0"
"""Only this operator writes the `meta` hash."""


class QuietClockOperator(Shipped, KeyedProcessFunction):  # type: ignore[misc]
    """Input: a pulse a second, empty, and control records, all of one key. Output: (key, event time in ms).

    Writes for Redis leave by a side output: how far the clock has come, with what else is to be known of the job. So do
    the control records.
    """

    def __init__(self, patience_ms: int, allowed_lateness_ms: int, facts: Mapping[str, str]) -> None:
        """All are pickled; `facts` are the further fields of the `meta` hash."""
        self._patience_ms, self._allowed_lateness_ms, self._facts = patience_ms, allowed_lateness_ms, dict(facts)

    def open(self, runtime_context: RuntimeContext) -> None:
        """Register the state, which can be read only once a pulse has come."""
        take_short_way()
        self._state = bytes_value(runtime_context, "quiet-clock")
        self._kept_stops = bytes_value(runtime_context, "stops")
        self._opened_ms = _wall_clock_ms()
        self._clock: QuietClock | None = None
        self._shown_ms = -1

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Any:
        """A pulse, or a control record."""
        if self._clock is None:
            packed = self._state.value()
            self._clock = QuietClock(self._patience_ms, self._allowed_lateness_ms, self._opened_ms, packed)
            self._stops = Stops(self._kept_stops.value())
        key = ctx.get_current_key()
        if value:
            record = self._stops.on_record(value)
            self._kept_stops.update(self._stops.packed())
            return [(CONTROL_RECORDS, Row(key, record))]
        now_ms = _wall_clock_ms()
        time_ms = self._clock.pulse(ctx.timer_service().current_watermark(), now_ms)
        self._state.update(self._clock.packed())
        if time_ms is None:
            return []
        ahead = self._stops.ahead
        time_ms = self._stops.time_ms(time_ms, now_ms, quiet=self._clock.is_quiet(now_ms))
        if self._stops.ahead != ahead:
            self._kept_stops.update(self._stops.packed())
        return [*self._shown(time_ms), Row(key, time_ms)]

    def _shown(self, now_ms: int) -> list[Any]:
        if now_ms <= self._shown_ms:
            return []
        self._shown_ms = now_ms
        fields = {**self._facts, "watermark_ms": str(now_ms)}
        return [(REDIS, Row(META_SHARD, meta_write(now_ms, fields)))]


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000
