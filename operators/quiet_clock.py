"""Binds the clock of the live job to a stream of pulses that has the source's watermarks."""

import time
from collections.abc import Mapping
from typing import Any, Final

from pyflink.common import Row
from pyflink.datastream import KeyedProcessFunction, RuntimeContext

from operators.bytes_state import bytes_value
from operators.shipping import Shipped
from operators.short_way import take_short_way
from operators.tags import REDIS
from schemas.writes import meta_write
from state.quiet_clock import QuietClock

META_SHARD: Final = "0"
"""Only this operator writes the `meta` hash."""


class QuietClockOperator(Shipped, KeyedProcessFunction):  # type: ignore[misc]
    """Input: a pulse a second, all of one key. Output: (key, event time in ms).

    Writes for Redis leave by a side output: how far the clock has come, with what else is to be known of the job.
    """

    def __init__(self, patience_ms: int, allowed_lateness_ms: int, facts: Mapping[str, str]) -> None:
        """All are pickled; `facts` are the further fields of the `meta` hash."""
        self._patience_ms, self._allowed_lateness_ms, self._facts = patience_ms, allowed_lateness_ms, dict(facts)

    def open(self, runtime_context: RuntimeContext) -> None:
        """Register the state, which can be read only once a pulse has come."""
        take_short_way()
        self._state = bytes_value(runtime_context, "quiet-clock")
        self._opened_ms = _wall_clock_ms()
        self._clock: QuietClock | None = None
        self._shown_ms = -1

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Any:
        """A pulse."""
        if self._clock is None:
            packed = self._state.value()
            self._clock = QuietClock(self._patience_ms, self._allowed_lateness_ms, self._opened_ms, packed)
        time_ms = self._clock.pulse(ctx.timer_service().current_watermark(), _wall_clock_ms())
        self._state.update(self._clock.packed())
        return [] if time_ms is None else [*self._shown(time_ms), Row(ctx.get_current_key(), time_ms)]

    def _shown(self, now_ms: int) -> list[Any]:
        if now_ms <= self._shown_ms:
            return []
        self._shown_ms = now_ms
        fields = {**self._facts, "watermark_ms": str(now_ms)}
        return [(REDIS, Row(META_SHARD, meta_write(now_ms, fields)))]


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000
