"""Within the customer operator: what customers tell the population, with a state and timers of its own."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pyflink.common import Row
from pyflink.datastream import RuntimeContext

from operators.logic import SnapshotFactory
from operators.stores import FlinkValueStore
from operators.tags import SNAPSHOTS, STANDINGS
from operators.types import END_OF_TIME_MS
from state.population.questions import counted
from state.population.sight import Sight
from state.rules.tree import Asked

NOTED_MAX = 100_000


class Snapshots:
    """Binds a `SnapshotLogic` beside the customers' own; a message leaves under the subtask's own key."""

    def __init__(self, factory: SnapshotFactory, runtime_context: RuntimeContext, own_key: str) -> None:
        """Make the logic and register the state."""
        self._logic, self._own_key = factory(), own_key
        self._store = FlinkValueStore(runtime_context, "snapshot")
        self._noted: dict[str, int] = {}
        """Looks at customers that Flink's state has: a shorter way, to be forgotten at any time."""

    def note(self, key: str, news_ms: int, watermark_ms: int, timers: Any) -> None:
        """Something has happened to the current key."""
        noted_ms = self._noted.get(key)
        if noted_ms is not None and self._logic.is_in(noted_ms, max(news_ms, watermark_ms + 1)):
            return
        look_ms = self._logic.look_ms(key, news_ms, watermark_ms)
        if look_ms is not None and (noted_ms is None or look_ms < noted_ms):
            if len(self._noted) >= NOTED_MAX:
                self._noted.clear()
            self._noted[key] = look_ms
            self._logic.note(look_ms, self._store)
            timers.register_event_time_timer(look_ms)

    def is_time(self, timestamp: int) -> bool:
        """Whether customers are looked at then."""
        return timestamp == END_OF_TIME_MS or self._logic.is_time(timestamp)

    def look(self, key: str, timestamp: int, timers: Any, see: Callable[[], Sight]) -> Iterator[Any]:
        """It is such a time for the current key, perhaps for nothing; its own logic has lived until then."""
        self._noted.pop(key, None)
        look = self._logic.on_time(key, timestamp, self._store, see, closing=timestamp == END_OF_TIME_MS)
        if look.next_ms is not None:
            timers.register_event_time_timer(look.next_ms)
        if look.message is not None:
            yield SNAPSHOTS, Row(self._own_key, look.message.packed())
        if look.standing is not None:
            yield STANDINGS, Row(key, look.standing.packed())

    def follow(self, asked: Iterable[Asked]) -> None:
        """Count what rules ask about from now on."""
        self._logic.count(counted(asked))
