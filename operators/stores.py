"""Flink state behind the store protocols of `operators.logic`."""

from typing import Any

from pyflink.datastream import RuntimeContext

from operators.bytes_state import bytes_list, bytes_map, bytes_value


class FlinkValueStore:
    """One packed value of the current key."""

    def __init__(self, context: RuntimeContext, name: str) -> None:
        """Register the state under a name that never changes."""
        state = bytes_value(context, name)
        self.load = state.value
        self.save = state.update
        self.clear = state.clear


class FlinkKeyedStore(FlinkValueStore):
    """A packed value and chunks; clearing the value leaves the chunks to `drop_chunk`."""

    def __init__(self, context: RuntimeContext, name: str) -> None:
        """Register both states."""
        super().__init__(context, name)
        chunks = bytes_map(context, f"{name}-chunks")
        self.get_chunk = chunks.get
        self.put_chunk = chunks.put
        self.drop_chunk = chunks.remove


class FlinkPendingStore(FlinkValueStore):
    """A packed value and a list of messages not yet in it."""

    def __init__(self, context: RuntimeContext, name: str) -> None:
        """Register both states."""
        super().__init__(context, name)
        self._pending = bytes_list(context, f"{name}-pending")
        self.append = self._pending.add
        self.drop_pending = self._pending.clear

    def pending(self) -> list[bytes]:
        """The messages in order of arrival."""
        return list(self._pending.get() or ())


class BroadcastTotals:
    """Broadcast state with what was read or written of it kept in memory: a score reads hundreds of totals.

    Flink hands out the writable view while a broadcast record is processed and a read-only one otherwise; both
    show the same state.
    """

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._known: dict[str, bytes | None] = {}
        self.view: Any = None

    def get(self, key: str) -> bytes | None:
        """A total, or None."""
        known = self._known
        if key not in known:
            known[key] = self.view.get(key)
        return known[key]

    def put(self, key: str, packed: bytes) -> None:
        """Remember a total; only while a broadcast record is processed."""
        self._known[key] = packed
        self.view.put(key, packed)
