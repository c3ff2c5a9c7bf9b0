"""The CUSTOMER operator: binds a `CustomerLogic` to the stream of (subject, payload)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pyflink.common import Row
from pyflink.datastream import KeyedProcessFunction, RuntimeContext

from operators.logic import Channel, CustomerFactory, Output, SnapshotFactory
from operators.metrics import CustomerMetrics
from operators.own_key import own_key
from operators.progress import Progress
from operators.shipping import Shipped
from operators.short_way import take_short_way
from operators.snapshots import Snapshots
from operators.stores import FlinkKeyedStore
from operators.tags import (
    CHANGE_RECORDS,
    COUNTS,
    MEMBERSHIP_RECORDS,
    REDIS,
    REJECTED,
    REJECTED_RECORDS,
    SEGMENT_CHANGES,
    STANDINGS,
)
from operators.types import END_OF_TIME_MS


@dataclass(frozen=True, slots=True)
class CustomerBinding:
    """What the operator needs besides the logic."""

    bounded: bool
    """Whether the input ends: then every key gets a last timer at END_OF_TIME_MS."""
    keys: Sequence[str] = ("0",)
    """One of each group of keys, in the order of groups: between them they lead to every subtask of any operator."""
    progress_dir: Path | None = None
    """Where the number of processed events is shown, for a launcher on the same machine."""
    snapshots: SnapshotFactory | None = None
    """With a population: what is told of customers."""


class Customers:
    """What the customer operators of both kinds have in common."""

    _factory: CustomerFactory
    _binding: CustomerBinding

    def prepare(self, runtime_context: RuntimeContext) -> None:
        """Make the logic and register the state."""
        binding = self._binding
        logic = self._factory()
        self._logic: Any = logic
        self._on_event, self._on_timer = logic.on_event, logic.on_timer
        self._store = FlinkKeyedStore(runtime_context, "customer")
        self._bounded, self._own_key = binding.bounded, own_key(runtime_context, binding.keys)
        self._snapshots: Snapshots | None = None
        if binding.snapshots is not None:
            self._snapshots = Snapshots(binding.snapshots, runtime_context, self._own_key)
            self._snapshots.follow(logic.asks())
        self._progress = Progress(binding.progress_dir)
        self._metrics = CustomerMetrics(runtime_context, logic.tally)
        self._with_last_timer: set[str] = set()

    def event(self, value: bytes, ctx: Any) -> Any:
        """One event: (place, 0x1F, raw bytes)."""
        key = ctx.get_current_key()
        timers = ctx.timer_service()
        watermark_ms = timers.current_watermark()
        wake_ms, outputs = self._on_event(key, value, watermark_ms, self._store)
        if wake_ms is not None:
            timers.register_event_time_timer(wake_ms)
        if self._snapshots is not None and self._logic.news_ms is not None:
            self._snapshots.note(key, self._logic.news_ms, watermark_ms, timers)
        if self._bounded and key not in self._with_last_timer:  # known again after a restart at the key's next event
            self._with_last_timer.add(key)
            timers.register_event_time_timer(END_OF_TIME_MS)
        self._progress.step()
        self._metrics.processed(ctx)
        return self._emitted(outputs) if outputs else ()

    def timer_of(self, key: str, timestamp: int, ctx: Any) -> Any:
        """Time has passed for one key."""
        timers = ctx.timer_service()
        watermark_ms = timers.current_watermark()
        wake_ms, outputs = self._on_timer(key, timestamp, watermark_ms, self._store)
        self._metrics.passed()
        if wake_ms is not None:
            timers.register_event_time_timer(wake_ms)
        told: Iterable[Any] = ()
        if self._snapshots is not None:
            if self._logic.news_ms is not None:
                self._snapshots.note(key, self._logic.news_ms, watermark_ms, timers)
            if self._snapshots.is_time(timestamp):
                see = partial(self._logic.sight, key, timestamp, self._store)
                told = tuple(self._snapshots.look(key, timestamp, timers, see))
        return (*self._emitted(outputs), *told) if outputs else told

    def close(self) -> None:
        """Show the last count."""
        if hasattr(self, "_progress"):
            self._progress.close()
            self._metrics.show()

    def _emitted(self, outputs: Any) -> Iterator[Any]:
        output: Output
        for output in outputs:
            channel, key, payload = output
            if channel == Channel.ITEM:
                yield Row(key, payload)
            elif channel == Channel.STANDING:
                yield STANDINGS, Row(key, payload)
            elif channel == Channel.REDIS:
                yield REDIS, Row(self._own_key, payload)
            elif channel == Channel.EXPERIMENT:
                yield Row(key, payload)
            elif channel == Channel.ANNOUNCEMENT:
                yield from (Row(one, payload) for one in self._binding.keys)
            elif self._bounded:
                yield _LINES[channel], payload.decode()
            else:
                yield _RECORDS[channel], Row(key, payload)


class CustomerOperator(Shipped, Customers, KeyedProcessFunction):  # type: ignore[misc]
    """Main output: messages for the item operator, of items and experiments. All else leaves by side outputs."""

    def __init__(self, factory: CustomerFactory, binding: CustomerBinding) -> None:
        """Both are pickled; the logic is made where the operator runs."""
        self._factory, self._binding = factory, binding

    def open(self, runtime_context: RuntimeContext) -> None:
        """Make the logic and register the state."""
        take_short_way()
        self.prepare(runtime_context)

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Any:
        """One event: (place, 0x1F, raw bytes)."""
        return self.event(value, ctx)

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Any:
        """Time has passed for one key."""
        return self.timer_of(ctx.get_current_key(), timestamp, ctx)


_RECORDS: dict[int, Any] = {
    Channel.SEGMENT_CHANGE: CHANGE_RECORDS,
    Channel.REJECTED: REJECTED_RECORDS,
    Channel.MEMBERSHIPS: MEMBERSHIP_RECORDS,
}
_LINES: dict[int, Any] = {Channel.SEGMENT_CHANGE: SEGMENT_CHANGES, Channel.REJECTED: REJECTED, Channel.COUNTS: COUNTS}
