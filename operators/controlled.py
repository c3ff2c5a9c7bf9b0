"""The CUSTOMER operator of a job with a control stream, and the operator that reads the stream."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from typing import Any, Protocol

from pyflink.common import Row
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.functions import KeyedBroadcastProcessFunction

from operators.broadcast_view import BroadcastView
from operators.bytes_state import as_they_are, bytes_by_string, writable
from operators.customer import CustomerBinding, Customers
from operators.every_key import every_key, watermark_ms
from operators.logic import Channel, CustomerFactory, Output, Step, ValueStore
from operators.metrics import ControlMetrics
from operators.rounds import Rounds
from operators.shipping import Shipped
from operators.short_way import take_short_way
from operators.stores import FlinkValueStore
from operators.tags import REJECTED_RECORDS
from state.tally import ControlTally

STATE = "control"
"""Name of the broadcast state."""


class ControlLogic(Protocol):
    """Reads control records; gives what can take effect to CONTROL, and the rest to REJECTED."""

    tally: ControlTally

    def on_record(self, key: str, payload: bytes, watermark_ms: int, store: ValueStore) -> Step: ...
    def on_time(self, key: str, watermark_ms: int, store: ValueStore) -> Iterable[Output]: ...


ControlFactory = Callable[[], ControlLogic]


class ControlOperator(Shipped, KeyedProcessFunction):  # type: ignore[misc]
    """Main output: (key, control record). What is refused leaves by a side output, once for the whole job."""

    def __init__(self, factory: ControlFactory) -> None:
        """The factory is pickled; the logic is made where the operator runs."""
        self._factory = factory

    def open(self, runtime_context: RuntimeContext) -> None:
        """Make the logic."""
        take_short_way()
        self._logic = self._factory()
        self._store = FlinkValueStore(runtime_context, "control")
        self._metrics = ControlMetrics(runtime_context, self._logic.tally)

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Any:
        """One record: (place, 0x1F, raw bytes)."""
        timers = ctx.timer_service()
        wake_ms, outputs = self._logic.on_record(ctx.get_current_key(), value, timers.current_watermark(), self._store)
        self._metrics.show()
        if wake_ms is not None:
            timers.register_event_time_timer(wake_ms)
        return self._emitted(outputs)

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Any:
        """It is known what time it is."""
        watermark_ms = ctx.timer_service().current_watermark()
        return self._emitted(self._logic.on_time(ctx.get_current_key(), watermark_ms, self._store))

    def _emitted(self, outputs: Iterable[Output]) -> Iterator[Any]:
        for channel, key, payload in outputs:
            yield Row(key, payload) if channel == Channel.CONTROL else (REJECTED_RECORDS, Row(key, payload))


class ControlledCustomerOperator(Shipped, Customers, KeyedBroadcastProcessFunction):  # type: ignore[misc]
    """As CustomerOperator, with rules and settings that change, and moments as of which everything is written.

    In thread mode every customer is woken at such a moment; where rules change, in a round that lets others pass, and
    whoever does something before their turn takes them up then, as of the same time. In process mode nobody can list
    the keys: there customers follow at their next event or timer.
    """

    def __init__(self, factory: CustomerFactory, binding: CustomerBinding) -> None:
        """Both are pickled; the logic is made where the operator runs."""
        self._factory, self._binding = factory, binding

    def open(self, runtime_context: RuntimeContext) -> None:
        """Make the logic and register the state; what was said before is read with the first record or timer."""
        take_short_way()
        self.prepare(runtime_context)
        self._descriptor = bytes_by_string(STATE)
        self._view = BroadcastView()
        self._begun = False
        self._every_key = partial(every_key, runtime_context, "customer")
        self._rounds = Rounds(runtime_context, "customer")
        self._watermark_ms = partial(watermark_ms, runtime_context)

    def process_element(self, value: bytes, ctx: KeyedBroadcastProcessFunction.ReadOnlyContext) -> Any:
        """One event: (place, 0x1F, raw bytes)."""
        if not self._begun:
            told = self._begin(ctx, ctx.timer_service().current_watermark())
            return [*told, *self.event(value, ctx)]
        return self.event(value, ctx)

    def process_broadcast_element(self, value: Any, ctx: KeyedBroadcastProcessFunction.Context) -> Any:
        """A control record that can take effect."""
        now_ms = self._watermark_ms(ctx)
        told = () if self._begun else self._begin(ctx, now_ms)
        self._view.write_to(as_they_are(ctx.get_broadcast_state(self._descriptor)))
        return [*told, *self._woken(self._logic.on_control(value[1], self._view, now_ms))]

    def on_timer(self, timestamp: int, ctx: KeyedBroadcastProcessFunction.OnTimerContext) -> Any:
        """Time has passed for one key, or it is the turn of some."""
        told = () if self._begun else self._begin(ctx, ctx.timer_service().current_watermark())
        key = ctx.get_current_key()
        if self._rounds.begins(key, timestamp):
            self._rounds.begin(ctx.timer_service().current_watermark())
        if self._rounds.is_time(key, timestamp):
            return chain(told, self._looked_at(timestamp, ctx))
        return [*told, *self.timer_of(key, timestamp, ctx)] if told else self.timer_of(key, timestamp, ctx)

    def _looked_at(self, time_ms: int, ctx: Any) -> Iterator[Any]:
        """A slice of a round."""
        for key in self._rounds.slice(ctx.timer_service().current_watermark()):
            yield from self.timer_of(key, time_ms, ctx)

    def _begin(self, ctx: Any, now_ms: int) -> Iterable[Any]:
        self._begun = True
        state = as_they_are(ctx.get_broadcast_state(self._descriptor))
        anytime = writable(state)
        if anytime is None:
            self._view.read_from(state)
        else:  # so that the rules of the submission are kept, too
            self._view.write_to(anytime)
        told = self._woken(self._logic.on_start(self._view, now_ms))
        for from_ms in self._logic.reigns_ms():  # a round that was planned, or under way, is known to nobody else now
            self._rounds.plan(max(from_ms, now_ms + 1))
        return told

    def _woken(self, step: Step) -> Iterable[Any]:
        wake_ms, outputs = step
        if self._snapshots is not None:
            self._snapshots.follow(self._logic.asks())
        if wake_ms is not None and self._logic.publishes(wake_ms):
            self._every_key(wake_ms)
        elif wake_ms is not None:
            self._rounds.plan(wake_ms)
        return self._emitted(outputs)
