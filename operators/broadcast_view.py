"""Broadcast state as small values by name, whatever is being processed."""

from typing import Any


class BroadcastView:
    """Broadcast state that can be changed at any time.

    Flink hands out a writable view with a control record only. What is put before that is kept, and written then; the
    same would be put again after a restart.
    """

    def __init__(self) -> None:
        self._unwritten: dict[str, bytes | None] = {}
        self._state: Any = None
        self._writable = False

    def read_from(self, state: Any) -> None:
        """Use a view that can be read."""
        self._state = state

    def write_to(self, state: Any) -> None:
        """Use a view that can be written."""
        self._state, self._writable = state, True
        for key, packed in self._unwritten.items():
            self._set(key, packed)
        self._unwritten.clear()

    def get(self, key: str) -> bytes | None:
        """A value, or None."""
        if key in self._unwritten:
            return self._unwritten[key]
        packed: bytes | None = self._state.get(key)
        return packed

    def put(self, key: str, packed: bytes) -> None:
        """Keep a value."""
        self._set(key, packed)

    def remove(self, key: str) -> None:
        """Forget a value."""
        self._set(key, None)

    def _set(self, key: str, packed: bytes | None) -> None:
        if not self._writable:
            self._unwritten[key] = packed
        elif packed is None:
            self._state.remove(key)
        else:
            self._state.put(key, packed)
