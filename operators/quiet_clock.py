"""Binds the clock of the live job to a stream of pulses that has the source's watermarks.

It goes on with each of these, and with the pulses while there are none.
"""

import time
from collections.abc import Mapping
from typing import Any, Final

from pyflink.common import Row
from pyflink.datastream import KeyedProcessFunction, RuntimeContext

from operators.bytes_state import bytes_value
from operators.shipping import Shipped
from operators.short_way import take_short_way
from operators.tags import CONTROL_RECORDS, REDIS
from operators.types import END_OF_TIME_MS
from schemas.settings import Settings
from schemas.writes import meta_write
from state.quiet_clock import QuietClock
from state.rules_in_force import RulesInForce
from state.stops import Stops

META_SHARD: Final = "0"
"""Only this operator writes the `meta` hash."""


class QuietClockOperator(Shipped, KeyedProcessFunction):  # type: ignore[misc]
    """Input: a pulse a second, empty, and control records, all of one key. Output: (key, event time in ms).

    Writes for Redis leave by a side output: how far the clock has come, with what else is to be known of the job. So do
    the control records.
    """

    def __init__(self, patience_ms: int, settings: Settings, rule_version: str, facts: Mapping[str, str]) -> None:
        """All are pickled. `rule_version`: that of the submission; `facts`: the further fields of the `meta` hash."""
        self._patience_ms, self._settings = patience_ms, settings
        self._submitted, self._facts = rule_version, dict(facts)

    def open(self, runtime_context: RuntimeContext) -> None:
        """Register the state, which can be read only once a pulse has come."""
        take_short_way()
        self._state = bytes_value(runtime_context, "quiet-clock")
        self._kept_stops = bytes_value(runtime_context, "stops")
        self._kept_rules = bytes_value(runtime_context, "rules-in-force")
        self._opened_ms = _wall_clock_ms()
        self._clock: QuietClock | None = None
        self._shown: tuple[int, str] = (-1, "")  # time (ms) and version of the rules

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Any:
        """A pulse, or a control record."""
        clock = self._begun()
        if value:
            record = self._stops.on_record(value)
            self._kept_stops.update(self._stops.packed())
            self._rules.on_record(value, self._shown[0])
            self._kept_rules.update(self._rules.packed())
            return [(CONTROL_RECORDS, Row(ctx.get_current_key(), record))]
        return self._ticked(clock, ctx)

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Any:
        """The source's watermark has moved.

        A second between two steps would be a burst of a second's timers, and events would wait for them.
        """
        del timestamp
        if ctx.timer_service().current_watermark() >= END_OF_TIME_MS:  # the job is drained: nothing comes after
            return []
        return self._ticked(self._begun(), ctx)

    def _begun(self) -> QuietClock:
        """The clock; its state can be read now."""
        if self._clock is None:
            lateness_ms, packed = self._settings.allowed_lateness_ms, self._state.value()
            self._clock = QuietClock(self._patience_ms, lateness_ms, self._opened_ms, packed)
            self._stops = Stops(self._kept_stops.value())
            self._rules = RulesInForce(self._settings, self._submitted, self._kept_rules.value())
            self._kept_rules.update(self._rules.packed())
        return self._clock

    def _ticked(self, clock: QuietClock, ctx: Any) -> list[Any]:
        timers, now_ms = ctx.timer_service(), _wall_clock_ms()
        watermark_ms = timers.current_watermark()
        timers.register_event_time_timer(watermark_ms + 1)
        time_ms = clock.pulse(watermark_ms, now_ms)
        self._state.update(clock.packed())
        if time_ms is None:
            return []
        ahead = self._stops.ahead
        time_ms = self._stops.time_ms(time_ms, now_ms, quiet=clock.is_quiet(now_ms))
        if self._stops.ahead != ahead:
            self._kept_stops.update(self._stops.packed())
        return [*self._told(time_ms), Row(ctx.get_current_key(), time_ms)]

    def _told(self, time_ms: int) -> list[Any]:
        """What is new of it."""
        now_ms = max(time_ms, self._shown[0])
        shown = (now_ms, self._rules.version(now_ms))
        if shown == self._shown:
            return []
        self._shown = shown
        fields = {**self._facts, "rule_version": shown[1], "watermark_ms": str(now_ms)}
        return [(REDIS, Row(META_SHARD, meta_write(now_ms, fields)))]


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000
