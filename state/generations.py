"""A bounded cache in two generations: who was not asked for while the younger one filled up goes with the older one."""

from typing import Generic, TypeVar

T = TypeVar("T")


class Generations(Generic[T]):
    """Values by key. Bound: as many as it was made for; 0 keeps nothing."""

    __slots__ = ("_older", "_recent", "_size")

    def __init__(self, most: int) -> None:
        """`most`: values in both generations together."""
        self._size = most // 2
        self._recent: dict[str, T] = {}
        self._older: dict[str, T] = {}

    def get(self, key: str, *, keep: bool = True) -> T | None:
        """The value, if it is there; to `keep` it is to have asked for it."""
        value = self._recent.get(key)
        if value is None:
            value = self._older.get(key)
            if value is not None and keep:
                del self._older[key]
                self.put(key, value)
        return value

    def put(self, key: str, value: T) -> None:
        """Keep a value that is not there."""
        if len(self._recent) >= self._size:
            self._older, self._recent = self._recent, {}
        if self._size:
            self._recent[key] = value

    def drop(self, key: str) -> None:
        """Forget a key."""
        self._recent.pop(key, None)
        self._older.pop(key, None)

    def clear(self) -> None:
        """Forget all."""
        self._recent.clear()
        self._older.clear()
