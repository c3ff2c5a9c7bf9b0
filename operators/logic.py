"""What an operator asks of the engine-free logic that it binds, and what it gives it: nothing here knows Flink."""

from collections.abc import Callable, Iterable
from typing import Protocol

from state.channels import Channel, Output
from state.population.sight import Sight
from state.population.snapshots import Look
from state.rules.tree import Asked
from state.tally import AssignTally, CustomerTally, MergerTally

__all__ = [
    "AssignFactory",
    "Channel",
    "CustomerFactory",
    "CustomerLogic",
    "ExperimentFactory",
    "GatherFactory",
    "ItemFactory",
    "ItemLogic",
    "KeyedStore",
    "MergerFactory",
    "Output",
    "PendingStore",
    "PublishFactory",
    "PublishLogic",
    "SnapshotFactory",
    "Step",
    "Totals",
    "ValueStore",
]

Step = tuple[int | None, Iterable[Output]]
"""(wake_ms, outputs): `wake_ms` is the event time of a timer to be registered now; None: none is needed."""


class KeyedStore(Protocol):
    """The state of the current key: one packed value, and sealed chunks that few keys have."""

    def load(self) -> bytes | None: ...
    def save(self, packed: bytes) -> None: ...
    def clear(self) -> None: ...
    def get_chunk(self, number: int) -> bytes | None: ...
    def put_chunk(self, number: int, packed: bytes) -> None: ...
    def drop_chunk(self, number: int) -> None: ...


class CustomerLogic(Protocol):
    """One instance serves all keys of a subtask; what it must remember of a key it keeps in the store."""

    tally: CustomerTally
    news_ms: int | None
    """What the last call has found new about its customer is of this time; None: nothing."""

    def on_event(self, key: str, payload: bytes, watermark_ms: int, store: KeyedStore) -> Step: ...
    def on_timer(self, key: str, time_ms: int, watermark_ms: int, store: KeyedStore) -> Step: ...
    def sight(self, key: str, time_ms: int, store: KeyedStore) -> Sight: ...
    def asks(self) -> Iterable[Asked]: ...


class PendingStore(Protocol):
    """The state of an item: a packed row and the messages that are not yet in it."""

    def load(self) -> bytes | None: ...
    def save(self, packed: bytes) -> None: ...
    def clear(self) -> None: ...
    def pending(self) -> list[bytes]: ...
    def append(self, message: bytes) -> None: ...
    def drop_pending(self) -> None: ...


class ItemLogic(Protocol):
    """Sums messages to rows and totals; outputs go to ROW, TOTAL and REDIS."""

    def on_message(self, key: str, payload: bytes, store: PendingStore) -> Iterable[Output]: ...
    def on_publication(self, key: str, store: PendingStore) -> Iterable[Output]: ...
    def on_end(self, key: str, store: PendingStore) -> Iterable[Output]: ...


class ExperimentLogic(Protocol):
    """Sums what customers tell of experiments; outputs go to REDIS."""

    def on_message(self, key: str, message: bytes, watermark_ms: int, store: PendingStore) -> int | None: ...
    def on_time(self, key: str, now_ms: int, store: PendingStore) -> Iterable[Output]: ...


class Totals(Protocol):
    """What was broadcast: read by every key."""

    def get(self, key: str) -> bytes | None: ...
    def put(self, key: str, packed: bytes) -> None: ...


class ValueStore(Protocol):
    """One packed value of the current key."""

    def load(self) -> bytes | None: ...
    def save(self, packed: bytes) -> None: ...
    def clear(self) -> None: ...


class PublishLogic(Protocol):
    """Scores rows against the totals; outputs go to REDIS."""

    def on_total(self, payload: bytes, totals: Totals) -> None: ...
    def on_row(
        self, key: str, payload: bytes, totals: Totals, store: ValueStore, watermark_ms: int
    ) -> Iterable[Output]: ...

    def on_publication(self, key: str, as_of_ms: int, totals: Totals, store: ValueStore) -> Iterable[Output]: ...
    def on_end(self, key: str, totals: Totals, store: ValueStore) -> Iterable[Output]: ...


class SnapshotLogic(Protocol):
    """Beside a customer's logic: what is told of them, and when they are looked at for it."""

    def count(self, features: Iterable[str]) -> None: ...
    def is_time(self, time_ms: int) -> bool: ...
    def is_in(self, look_ms: int, time_ms: int) -> bool: ...
    def look_ms(self, key: str, news_ms: int, watermark_ms: int) -> int | None: ...
    def note(self, look_ms: int, store: ValueStore) -> None: ...
    def on_time(
        self, key: str, time_ms: int, store: ValueStore, see: Callable[[], Sight], *, closing: bool = False
    ) -> Look: ...


class GatherLogic(Protocol):
    """Puts together what comes in an interval."""

    def on_message(self, message: bytes, watermark_ms: int, store: PendingStore) -> int: ...
    def on_time(self, time_ms: int, watermark_ms: int, store: PendingStore) -> Iterable[bytes]: ...


class MergerLogic(Protocol):
    """Learns; outputs go to VIEW, MODEL and REDIS."""

    tally: MergerTally

    def on_parcel(self, payload: bytes, watermark_ms: int, store: PendingStore) -> int: ...
    def on_control(self, raw: bytes, store: PendingStore) -> None: ...
    def on_time(self, time_ms: int, watermark_ms: int, store: PendingStore) -> Iterable[Output]: ...


class AssignLogic(Protocol):
    """Sees customers with what was broadcast; `on_start` and `on_broadcast` say whether every key is to be woken."""

    tally: AssignTally

    def on_start(self, kept: Totals) -> bool: ...
    def on_broadcast(self, payload: bytes, kept: Totals) -> bool: ...
    def on_standing(self, key: str, payload: bytes, watermark_ms: int, store: ValueStore) -> Step: ...
    def on_timer(self, key: str, time_ms: int, watermark_ms: int, store: ValueStore) -> Step: ...


CustomerFactory = Callable[[], CustomerLogic]
"""Makes the logic in the operator: a module-level function, or a functools.partial of one with picklable settings."""
ItemFactory = Callable[[], ItemLogic]
ExperimentFactory = Callable[[], ExperimentLogic]
PublishFactory = Callable[[], PublishLogic]
SnapshotFactory = Callable[[], SnapshotLogic]
GatherFactory = Callable[[], GatherLogic]
MergerFactory = Callable[[], MergerLogic]
AssignFactory = Callable[[], AssignLogic]
