"""Says in Redis that everything was written as of a moment that a control record asked for."""

from typing import Any

from pyflink.datastream import KeyedProcessFunction, RuntimeContext

from operators.bytes_state import bytes_list
from operators.redis_connection import RedisConnection, RedisTarget
from operators.redis_writer import settled_ms
from operators.shipping import Shipped
from operators.short_way import take_short_way
from schemas.control import decode_control
from schemas.writes import published_write


class PublishedOperator(Shipped, KeyedProcessFunction):  # type: ignore[misc]
    """Input: control records, of one key, with the watermarks of all Redis writers, behind which nothing waits."""

    def __init__(self, target: RedisTarget) -> None:
        """The target is pickled; the connection is made where the operator runs."""
        self._target = target

    def open(self, runtime_context: RuntimeContext) -> None:
        """Register the state."""
        take_short_way()
        self._asked = bytes_list(runtime_context, "published")
        self._connection = RedisConnection(self._target)

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Any:
        """A control record that takes effect."""
        control = decode_control(value, len(value))
        if control.kind == "publish" and control.as_of_ms is not None:
            self._asked.add(value)
            ctx.timer_service().register_event_time_timer(settled_ms(control.as_of_ms))
        return ()

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Any:
        """Everything is written as of then."""
        asked = [(decode_control(raw, len(raw)), raw) for raw in self._asked.get() or ()]
        done = [control for control, _ in asked if settled_ms(control.as_of_ms or 0) <= timestamp]
        if done:
            self._connection.send([published_write(one.control_id, one.as_of_ms or 0) for one in done])
        self._asked.clear()
        for control, raw in asked:
            if control not in done:
                self._asked.add(raw)
                # in a savepoint of an older release its timer is of the moment itself, and may be the one that fired
                ctx.timer_service().register_event_time_timer(settled_ms(control.as_of_ms or 0))
        return ()

    def close(self) -> None:
        """Drop the connection."""
        if hasattr(self, "_connection"):
            self._connection.close()
