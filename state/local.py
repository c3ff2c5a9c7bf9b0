"""Runs the customer logic without an engine: event time, timers and keyed state in plain Python.

It does what Flink does for the operator (a watermark that follows the newest event, event-time timers in order, one
store per key, the end of a bounded input), in one process and with nothing durable. `rules try` replays logs with it,
tests hold the logic to its oracles with it, benchmarks time the core with it.
"""

import heapq
from collections.abc import Iterable, Iterator

from state.channels import Channel, Output
from state.control import ControlLogic
from state.customer.counts import NEVER_MS
from state.customer.logic import CustomerLogic
from state.dict_chunks import DictChunkStore


class DictStore(DictChunkStore):
    """State of one key in memory."""

    packed: bytes | None = None

    def load(self) -> bytes | None:
        return self.packed

    def save(self, packed: bytes) -> None:
        self.packed = packed

    def clear(self) -> None:
        self.packed = None


class DictView(dict[str, bytes]):
    """Broadcast state in memory."""

    def put(self, key: str, packed: bytes) -> None:
        self[key] = packed

    def remove(self, key: str) -> None:
        self.pop(key, None)


class LocalRun:
    """One subtask of the customer operator, in memory."""

    def __init__(self, logic: CustomerLogic, out_of_orderness_ms: int) -> None:
        self.logic = logic
        self.stores: dict[str, DictStore] = {}
        self.watermark_ms = -1
        self._out_of_orderness_ms = out_of_orderness_ms
        self._timers: list[tuple[int, str]] = []
        self._registered: set[tuple[int, str]] = set()  # as in Flink, a key has at most one timer for a moment
        self.view = DictView()
        self.control_store = DictStore()
        self._has_control = False

    def feed(self, key: str, time_ms: int | None, payload: bytes) -> list[Output]:
        """One record. `time_ms` None: a record without a usable time; the watermark stays."""
        store = self.stores.get(key)
        if store is None:
            store = self.stores[key] = DictStore()
        wake_ms, outputs = self.logic.on_event(key, payload, self.watermark_ms, store)
        if wake_ms is not None:
            self.register(wake_ms, key)
        if time_ms is not None and time_ms - self._out_of_orderness_ms > self.watermark_ms:
            before_ms, self.watermark_ms = self.watermark_ms, time_ms - self._out_of_orderness_ms
            if before_ms < 0 and self._has_control:
                outputs = [*outputs, *self._time_is_known(before_ms)]
            if self._timers and self._timers[0][0] <= self.watermark_ms:
                return [*outputs, *self._fire()]
        return list(outputs)

    def start(self, view: DictView | None = None) -> list[Output]:
        """Have a control stream, which goes on where `view` stands."""
        self._has_control = True
        self.view = self.view if view is None else view
        wake_ms, outputs = self.logic.on_start(self.view, self.watermark_ms)
        self._wake_all(wake_ms)
        return list(outputs)

    def control(self, payload: bytes) -> list[Output]:
        """One record of the control stream: place, PLACE_END, raw bytes."""
        control = ControlLogic(self.logic.book.base)
        _, outputs = control.on_record("control", payload, self.watermark_ms, self.control_store)
        return self._controlled(outputs, self.watermark_ms)

    def _time_is_known(self, before_ms: int) -> list[Output]:
        """The operator that reads the control stream is the first to hear of it."""
        outputs = ControlLogic(self.logic.book.base).on_time("control", self.watermark_ms, self.control_store)
        return self._controlled(outputs, before_ms)

    def _controlled(self, outputs: Iterable[Output], watermark_ms: int) -> list[Output]:
        said: list[Output] = []
        for channel, key, raw in outputs:
            if channel == Channel.CONTROL:
                wake_ms, told = self.logic.on_control(raw, self.view, watermark_ms)
                self._wake_all(wake_ms)
                said += told
            else:
                said.append((channel, key, raw))
        return said

    def _wake_all(self, time_ms: int | None) -> None:
        for key in self.stores if time_ms is not None else ():
            self.register(time_ms or 0, key)

    def close(self) -> Iterator[Output]:
        """The end of the input: every timer that is left, then, in a bounded run, the last one of every key."""
        self.watermark_ms = NEVER_MS
        yield from self._fire()
        if self.logic.as_of_ms is None:
            return
        for key in self.stores:
            yield from self.logic.on_timer(key, NEVER_MS, self.watermark_ms, self.stores[key])[1]

    def register(self, time_ms: int, key: str) -> None:
        """An event-time timer of a key."""
        timer = (time_ms, key)
        if timer not in self._registered:
            self._registered.add(timer)
            heapq.heappush(self._timers, timer)

    def _fire(self) -> list[Output]:
        said: list[Output] = []
        while self._timers and self._timers[0][0] <= self.watermark_ms:
            time_ms, key = timer = heapq.heappop(self._timers)
            self._registered.remove(timer)
            wake_ms, outputs = self.logic.on_timer(key, time_ms, self.watermark_ms, self.stores[key])
            said += outputs
            if wake_ms is not None:
                self.register(wake_ms, key)
        return said
