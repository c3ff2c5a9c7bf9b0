"""What is made of many values of Redis: kept until one of them changes, then made anew, once for all who ask.

While it is made anew, what was made before serves on, as in HTTP's stale-while-revalidate (RFC 5861): a change shows
after `AGAIN_S` or a little later, and nobody has to wait for it. Where nobody has asked for some time, the next one
waits for what is right. Nothing is made that nobody asks for.
"""

import asyncio
import time
from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")

AGAIN_S = 0.5
"""So long after it was made it is made anew at the earliest."""
SHARE = 20
"""To make all that is asked for takes a twentieth of the time at most: the longer it takes, the less often it is made.
(What failed has mostly waited, and counts as nothing.)"""
LONGEST_PAUSE_S = 60.0
OVERDUE_S = 1.0
"""What was to be made anew for longer is waited for."""

Depends = Callable[[Iterable[str]], None]
"""To be told of keys before they are read."""
Make = Callable[[str, Depends], Awaitable[tuple[T, bool]]]
"""Gives what is made for a name, and whether all that it is made of could be read."""


class _One(Generic[T]):
    """What is known for one name."""

    __slots__ = ("due_s", "failed", "is_old", "keys", "making", "took_s", "value")

    def __init__(self) -> None:
        self.value: tuple[T] | None = None
        """As it could be made last of all that belongs to it."""
        self.keys: set[str] = set()
        self.is_old, self.failed = True, False
        """Whether it has to be made anew; whether it could not be."""
        self.due_s = float("-inf")
        self.took_s = 0.0
        self.making: asyncio.Task[tuple[T, bool]] | None = None


class Derived(Generic[T]):
    """Values by name. Not for use by several threads."""

    def __init__(self, make: Make[T], most: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is made yet.

        Args:
            make: called for a name, in a task of its own. Tells the keys that it reads, each before it is read.
            most: so many names are kept; those go first that nobody has asked for for the longest time.
            clock: seconds, for the tests.
        """
        self._make, self._most, self._clock = make, most, clock
        self._ones: OrderedDict[str, _One[T]] = OrderedDict()
        self._names_of: defaultdict[str, set[str]] = defaultdict(set)

    def at_hand(self, name: str) -> T | None:
        """The value, if there is no need to wait for it; it is being made anew from now on where that is due."""
        one = self._ones.get(name)
        if one is None or one.value is None or one.failed:
            return None
        if one.is_old:
            late_s = self._clock() - one.due_s
            if late_s > OVERDUE_S:
                return None
            if late_s >= 0:
                self._begin(name, one)
        self._ones.move_to_end(name)
        return one.value[0]

    async def value(self, name: str) -> tuple[T, bool]:
        """The value, and whether it is right; waits if need be.

        Raises:
            Exception: what `make` raises, if there is nothing of before.
        """
        found = self.at_hand(name)
        if found is not None:
            return found, True
        one = self._one(name)
        if one.value is not None and self._clock() < one.due_s:  # it has just failed
            return one.value[0], False
        try:
            return await asyncio.shield(self._begin(name, one))  # others wait for it, too
        except Exception:
            if one.value is None:
                raise
            return one.value[0], False

    def soon(self, name: str) -> T | None:
        """The value as it was made last, None: it has not been made yet. Nobody waits; where it is due, it is made."""
        one = self._one(name)
        if one.is_old and self._clock() >= one.due_s:
            self._begin(name, one)
        return None if one.value is None else one.value[0]

    def changed(self, keys: Iterable[str] | None) -> None:
        """These keys have other values now; None: any may have."""
        if keys is None:
            for one in self._ones.values():
                one.is_old = True
            return
        for key in keys:
            for name in self._names_of.get(key, ()):
                self._ones[name].is_old = True

    def _one(self, name: str) -> _One[T]:
        one = self._ones.get(name)
        if one is None:
            one = self._ones[name] = _One()
            while len(self._ones) > self._most:
                oldest, gone = self._ones.popitem(last=False)
                self._let_go(oldest, gone)
        self._ones.move_to_end(name)
        return one

    def _begin(self, name: str, one: _One[T]) -> asyncio.Task[tuple[T, bool]]:
        if one.making is None:
            one.making = asyncio.create_task(self._run(name, one))
            one.making.add_done_callback(_heard)
        return one.making

    async def _run(self, name: str, one: _One[T]) -> tuple[T, bool]:
        """Make it; a change that is told from now on is of what is made now."""
        self._let_go(name, one)
        one.is_old, is_whole, began_s = False, False, self._clock()

        def depends(keys: Iterable[str]) -> None:
            if self._ones.get(name) is one:
                for key in keys:
                    one.keys.add(key)
                    self._names_of[key].add(name)

        try:
            value, is_whole = await self._make(name, depends)
            if is_whole:
                one.value = (value,)
            elif one.value is not None:
                value = one.value[0]
            return value, is_whole
        finally:
            now_s = self._clock()
            one.took_s, one.due_s = (now_s - began_s if is_whole else 0.0), now_s
            one.due_s += self._pause_s(now_s) if is_whole else AGAIN_S
            one.failed = not is_whole
            one.is_old = one.is_old or one.failed
            one.making = None

    def _pause_s(self, now_s: float) -> float:
        """Until something is made anew: such that everything that was asked for lately can be in its turn."""
        lately = (one.took_s for one in self._ones.values() if one.due_s > now_s - LONGEST_PAUSE_S)
        return min(max(AGAIN_S, SHARE * sum(lately)), LONGEST_PAUSE_S)

    def _let_go(self, name: str, one: _One[T]) -> None:
        """It is made of these keys no more."""
        for key in one.keys:
            names = self._names_of[key]
            names.discard(name)
            if not names:
                del self._names_of[key]
        one.keys.clear()


def _heard(done: "asyncio.Task[object]") -> None:
    """Whoever still waits for it is told."""
    with suppress(asyncio.CancelledError):
        done.exception()
