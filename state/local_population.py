"""Runs customers and their population without an engine, as a bounded run: what jobs/graph.py has Flink do.

::

    LocalRun (customers) ─┬─ standings ───────────────────────────┬─> assign
                          └─ sights ─> snapshots ─> gather ─> merger ─ views ─┘

Tests hold the job to it, and benchmarks time the core with it.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from state.channels import Channel, Output
from state.customer.counts import NEVER_MS
from state.customer.logic import CustomerLogic, KeyedStore, Step
from state.local import DictStore, DictView, LocalRun
from state.population.gathering import GatherLogic
from state.population.in_time import InTime
from state.population.merger import MergerLogic
from state.population.questions import counted
from state.population.snapshots import Message, SnapshotLogic


class ListStore(DictStore):
    """A packed value and messages that wait, in memory."""

    def __init__(self) -> None:
        super().__init__()
        self._pending: list[bytes] = []

    def pending(self) -> list[bytes]:
        return list(self._pending)

    def append(self, message: bytes) -> None:
        self._pending.append(message)

    def drop_pending(self) -> None:
        self._pending.clear()


class Timers:
    """Event-time timers by key, each once, as Flink has them."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, str]] = []
        self._known: set[tuple[int, str]] = set()

    def register(self, time_ms: int | None, key: str) -> None:
        """None: there is none to register."""
        if time_ms is not None and (time_ms, key) not in self._known:
            self._known.add((time_ms, key))
            heapq.heappush(self._heap, (time_ms, key))

    def due(self, watermark_ms: int) -> Iterator[tuple[int, str]]:
        """Those at or before the watermark, in order; new ones may be registered meanwhile."""
        while self._heap and self._heap[0][0] <= watermark_ms:
            timer = heapq.heappop(self._heap)
            self._known.remove(timer)
            yield timer


@dataclass(frozen=True)
class Logics:
    """Of all operators; the customers' one gives out standings."""

    customer: CustomerLogic
    snapshots: SnapshotLogic
    gather: GatherLogic
    merger: MergerLogic
    assign: InTime


class _Customers:
    """The customers' logic with the snapshots beside it, as operators/customer.py binds them."""

    def __init__(self, run: "LocalPopulation", logics: Logics) -> None:
        self._run, self._logics = run, logics
        self.as_of_ms = logics.customer.as_of_ms

    def on_event(self, key: str, payload: bytes, watermark_ms: int, store: KeyedStore) -> Step:
        wake_ms, outputs = self._logics.customer.on_event(key, payload, watermark_ms, store)
        self._note(key, watermark_ms)
        return wake_ms, self._without_standings(outputs)

    def on_timer(self, key: str, time_ms: int, watermark_ms: int, store: KeyedStore) -> Step:
        customer, snapshots = self._logics.customer, self._logics.snapshots
        wake_ms, outputs = customer.on_timer(key, time_ms, watermark_ms, store)
        self._note(key, watermark_ms)
        closing = time_ms == NEVER_MS
        if closing or snapshots.is_time(time_ms):
            see = partial(customer.sight, key, time_ms, store)
            look = snapshots.on_time(key, time_ms, self._run.snapshots[key], see, closing=closing)
            outputs = self._without_standings(outputs)
            self._run.tell(key, look.next_ms, look.message)
            if look.standing is not None:
                self._run.stand(key, look.standing.packed())
            return wake_ms, outputs
        return wake_ms, self._without_standings(outputs)

    def _note(self, key: str, watermark_ms: int) -> None:
        logics, news_ms = self._logics, self._logics.customer.news_ms
        look_ms = None if news_ms is None else logics.snapshots.look_ms(key, news_ms, watermark_ms)
        if look_ms is not None:
            logics.snapshots.note(look_ms, self._run.snapshots[key])
            self._run.tell(key, look_ms, None)

    def _without_standings(self, outputs: Iterable[Output]) -> Iterable[Output]:
        rest = []
        for output in outputs:
            if output[0] == Channel.STANDING:
                self._run.stand(output[1], output[2])
            else:
                rest.append(output)
        return rest


class LocalPopulation:
    """One subtask of each operator, in memory."""

    def __init__(self, logics: Logics, out_of_orderness_ms: int) -> None:
        self.logics = logics
        logics.snapshots.count(counted(logics.customer.asks()))
        self.customers = LocalRun(_Customers(self, logics), out_of_orderness_ms)  # type: ignore[arg-type]
        self.snapshots: defaultdict[str, DictStore] = defaultdict(DictStore)
        self.assigned: dict[str, DictStore] = {}
        self._told, self._population, self._kept = ListStore(), ListStore(), DictView()
        self._gather_timers, self._merger_timers, self._assign_timers = Timers(), Timers(), Timers()
        self._watermark_ms = -1  # of the operators behind the customers

    def feed(self, key: str, time_ms: int | None, payload: bytes) -> list[Output]:
        """One record, as `LocalRun.feed`."""
        said = self.customers.feed(key, time_ms, payload)
        if self.customers.watermark_ms > self._watermark_ms:
            said += self._advance(self.customers.watermark_ms)
        return said

    def close(self) -> list[Output]:
        """The end of the input."""
        said = [*self.customers.close(), *self._advance(NEVER_MS)]
        for key, store in self.assigned.items():
            said += self.logics.assign.on_timer(key, NEVER_MS, NEVER_MS, store)[1]
        return said

    def stand(self, key: str, packed: bytes) -> None:
        """A customer's own facts say something."""
        store = self.assigned.setdefault(key, DictStore())
        wake_ms, _ = self.logics.assign.on_standing(key, packed, self._watermark_ms, store)
        self._assign_timers.register(wake_ms, key)

    def tell(self, key: str, wake_ms: int | None, message: Message | None) -> None:
        """A customer tells the population something, or nothing, and has to be called again."""
        if wake_ms is not None:
            self.customers.register(wake_ms, key)
        if message is not None:
            wake_ms = self.logics.gather.on_message(message.packed(), self._watermark_ms, self._told)
            self._gather_timers.register(wake_ms, "")

    def _advance(self, watermark_ms: int) -> list[Output]:
        """A watermark goes through the operators behind the customers, one after the other."""
        logics, said, before_ms = self.logics, list[Output](), self._watermark_ms
        self._watermark_ms = watermark_ms
        for time_ms, _ in self._gather_timers.due(watermark_ms):
            for parcel in logics.gather.on_time(time_ms, watermark_ms, self._told):
                self._merger_timers.register(logics.merger.on_parcel(parcel, before_ms, self._population), "")
        for time_ms, _ in self._merger_timers.due(watermark_ms):
            for output in logics.merger.on_time(time_ms, watermark_ms, self._population):
                if output[0] == Channel.VIEW:
                    logics.assign.on_broadcast(output[2], self._kept)
                else:
                    said.append(output)
        for time_ms, key in self._assign_timers.due(watermark_ms):
            wake_ms, outputs = logics.assign.on_timer(key, time_ms, watermark_ms, self.assigned[key])
            self._assign_timers.register(wake_ms, key)
            said += outputs
        return said
