"""What is made of many values of Redis: kept until one of them changes, then made anew, once for all who ask.

While it is made anew, what was made before serves on, as in HTTP's stale-while-revalidate (RFC 5861): a change shows
after `AGAIN_S` or a little later, and nobody has to wait for it. What changed some time ago, while nobody asked, is
waited for. Nothing is made that nobody asks for.
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
What failed is tried again after `AGAIN_S`, then after twice as long each time."""
LONGEST_PAUSE_S = 60.0
_MOST_FAILURES = 10
OVERDUE_S, LATELY_S = 1.0, 60.0
"""What was to be made anew for longer is waited for; in vain, if it was right so lately, it serves once more."""

Depends = Callable[[Iterable[str]], None]
"""To be told of keys before they are read."""
Make = Callable[[str, Depends], Awaitable[tuple[T, bool]]]
"""Gives what is made for a name, and whether all that it is made of could be read."""


class NotMadeError(LookupError):
    """There is no value, and none in time."""


class _One(Generic[T]):
    """What is known for one name."""

    __slots__ = ("due_s", "failures", "keys", "making", "meanwhile_s", "old_since_s", "told", "told_meanwhile",
                 "took_s", "value")  # fmt: skip

    def __init__(self, now_s: float) -> None:
        self.value: tuple[T] | None = None
        """As it was made last; of what could be read, if there was nothing better."""
        self.keys: set[str] = set()
        self.old_since_s: float | None = now_s
        """When it first might have been another one; None: it is right."""
        self.meanwhile_s: float | None = None
        """The same of what is being made."""
        self.told = self.told_meanwhile = False
        """Whether a change was told of what it is made of; of what is being made."""
        self.failures = 0
        """How often it could not be made since it was."""
        self.due_s = float("-inf")
        self.took_s = 0.0
        self.making: asyncio.Task[tuple[T, bool]] | None = None

    def may_be_old(self, now_s: float) -> None:
        """From now on."""
        if self.making is not None and self.meanwhile_s is None:
            self.meanwhile_s = now_s
        if self.old_since_s is None:
            self.old_since_s = now_s

    def was_right_lately(self, now_s: float) -> bool:
        """Whether it was, and nothing has gone wrong since."""
        return not self.failures and (self.old_since_s is None or now_s - self.old_since_s <= LATELY_S)


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
        if one is None or one.value is None or one.failures:
            return None
        if one.old_since_s is not None:
            now_s = self._clock()
            if now_s - max(one.due_s, one.old_since_s) > OVERDUE_S:
                return None
            if now_s >= one.due_s:
                self._begin(name, one)
        self._ones.move_to_end(name)
        return one.value[0]

    async def value(self, name: str, within_s: float) -> tuple[T, bool]:
        """The value, and whether it is right; waits so long at most if need be. The making goes on if it takes longer.

        Who has waited in vain, while nothing is wrong, gets the one before, if it was right lately. Where it cannot be
        made, the one before serves, if nothing was told to have changed since it was made; or else what can be made of
        what could be read.

        Raises:
            NotMadeError: there is none of these.
            Exception: what `make` raises, if there is none of these.
        """
        found = self.at_hand(name)
        if found is not None:
            return found, True
        one, error = self._one(name), None
        if not one.failures or one.value is None or self._clock() >= one.due_s:
            making = self._begin(name, one)
            if (await asyncio.wait((making,), timeout=within_s))[0]:  # others wait for it, too: it is not cancelled
                error = making.exception()
                if error is None:
                    return making.result()
            elif one.value is not None and one.was_right_lately(self._clock()):
                return one.value[0], True
        if one.value is not None and not one.told:
            return one.value[0], False
        raise error or NotMadeError(name)

    def soon(self, name: str) -> T | None:
        """The value as it was made last, None: it has not been made yet. Nobody waits; where it is due, it is made."""
        one = self._one(name)
        if one.old_since_s is not None and self._clock() >= one.due_s:
            self._begin(name, one)
        return None if one.value is None else one.value[0]

    def changed(self, keys: Iterable[str] | None) -> None:
        """These keys have other values now; None: any may have."""
        if keys is None:
            names: Iterable[str] = list(self._ones)
        else:
            names = (name for key in keys for name in self._names_of.get(key, ()))
        now_s = self._clock()
        for name in names:
            one = self._ones[name]
            one.told = one.told_meanwhile = True
            one.may_be_old(now_s)

    def lost_track(self) -> None:
        """Changes may have gone unheard."""
        now_s = self._clock()
        for one in self._ones.values():
            one.may_be_old(now_s)
            if one.told:  # it is known to be wrong, and others may be, too
                one.due_s, one.failures = min(one.due_s, now_s), max(one.failures, 1)

    def _one(self, name: str) -> _One[T]:
        one = self._ones.get(name)
        if one is None:
            one = self._ones[name] = _One(self._clock())
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
        is_whole, began_s = False, self._clock()
        one.told_meanwhile, one.meanwhile_s = False, None

        def depends(keys: Iterable[str]) -> None:
            if self._ones.get(name) is one:
                for key in keys:
                    one.keys.add(key)
                    self._names_of[key].add(name)

        try:
            value, is_whole = await self._make(name, depends)
            if is_whole or one.told or one.value is None:
                one.value, one.told = (value,), one.told_meanwhile
            return one.value[0], is_whole
        finally:
            now_s = self._clock()
            one.due_s = now_s
            if is_whole:
                one.took_s, one.failures, one.old_since_s = now_s - began_s, 0, one.meanwhile_s
                one.due_s += self._pause_s(now_s)
            else:
                one.took_s = 0.0  # it has mostly waited
                one.due_s += min(AGAIN_S * 2**one.failures, LONGEST_PAUSE_S)
                one.failures = min(one.failures + 1, _MOST_FAILURES)
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
