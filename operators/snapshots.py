"""Within the customer operator: what customers tell the population, with a state and timers of its own."""

from collections.abc import Iterable
from typing import Any

from pyflink.common import Row
from pyflink.datastream import RuntimeContext

from operators.logic import SnapshotFactory
from operators.stores import FlinkValueStore
from operators.tags import SNAPSHOTS
from state.population.questions import counted
from state.population.snapshots import Message
from state.population.standing import Standing
from state.rules.tree import Asked


class Snapshots:
    """Binds a `SnapshotLogic` beside the customers' own; a message leaves under the subtask's own key."""

    def __init__(self, factory: SnapshotFactory, runtime_context: RuntimeContext, own_key: str) -> None:
        """Make the logic and register the state."""
        self._logic, self._own_key = factory(), own_key
        self._store = FlinkValueStore(runtime_context, "snapshot")

    def standing(self, key: str, standing: bytes, timers: Any, *, closing: bool) -> tuple[Any, ...]:
        """The current key's standing."""
        said, now_ms = Standing.unpacked(standing), timers.current_watermark()
        return self._told(timers, *self._logic.on_standing(key, said, now_ms, self._store, closing=closing))

    def timer(self, key: str, timestamp: int, timers: Any) -> tuple[Any, ...]:
        """Time has passed for the current key, perhaps for nothing."""
        return self._told(timers, *self._logic.on_timer(key, timestamp, timers.current_watermark(), self._store))

    def follow(self, asked: Iterable[Asked]) -> None:
        """Count what rules ask about from now on."""
        self._logic.count(counted(asked))

    def _told(self, timers: Any, wake_ms: int | None, message: Message | None) -> tuple[Any, ...]:
        if wake_ms is not None:
            timers.register_event_time_timer(wake_ms)
        return () if message is None else ((SNAPSHOTS, Row(self._own_key, message.packed())),)
