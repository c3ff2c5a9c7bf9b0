"""A walk through every key that an operator holds, in any number of parts: which PyFlink has no words for.

In thread mode PyFlink's runtime context leads to Flink's own keyed state, which lists its keys, from memory or from
disk. They are listed at once, in Java (0.3 µs each from memory and 1.2 from disk, measured with 50,000), and wait
there, a hundred bytes each or so if they come from disk: neither kind of state can be listed while it changes.
"""

from importlib import import_module
from typing import Any, Self

from operators.every_key import keyed_backend


class KeyWalk:
    """The keys with a value in a state as of when the walk began, each made the current one in its turn."""

    def __init__(self, j_backend: Any, timers: Any, keys: Any) -> None:
        """Use `begun`. `keys`: a Java iterator."""
        self._j_backend, self._timers, self._keys = j_backend, timers, keys

    @classmethod
    def begun(cls, runtime_context: Any, state_name: str, *, most: int | None = None) -> Self | None:
        """A walk before its first key, of so many keys at `most`; None in process mode: nobody can list the keys."""
        backend = keyed_backend(runtime_context)
        if backend is None:
            return None
        j_backend, timers, namespace = backend
        pemja: Any = import_module("pemja")  # installed everywhere, but it loads only inside the JVM
        kept = pemja.findClass("java.util.stream.Stream").builder()
        keys = j_backend.getKeys(state_name, namespace)
        if most is not None:
            keys = keys.limit(most)
        try:
            keys.forEach(kept)
        finally:
            keys.close()
        return cls(j_backend, timers, kept.build().iterator())

    @property
    def goes_on(self) -> bool:
        """Whether there is another key."""
        return bool(self._keys.hasNext())

    def step(self) -> str:
        """Make the next key the current one."""
        key = self._keys.next()
        self._j_backend.setCurrentKey(key)
        name: str = key.getField(0)
        return name

    def register(self, time_ms: int) -> None:
        """An event-time timer for the current key."""
        self._timers.register_event_time_timer(time_ms)

    @property
    def place(self) -> Any:
        """The current key as Flink has it; None: there is none yet."""
        return self._j_backend.getCurrentKey()

    def return_to(self, place: Any) -> None:
        """Make a key of before the current one again."""
        if place is not None:
            self._j_backend.setCurrentKey(place)
