"""Rounds through all customers of a subtask, a slice at a time, so that nothing else waits for all of them.

::

    watermarks     |     |         |     |     |
    a round        ==    ====      ==    ==    =         the longer the time between two slices, the longer the next
    events     ....  ....    ......  ....  ....  ....

A slice begins with a watermark, and goes on for a QUOTA of the time since the last one, MOST_S at most; the one at the
end of time, to the end. A round may be planned for a time to come. Nothing of all that is kept: a restarted job has to
begin or plan it again.
"""

from collections.abc import Callable, Iterator
from math import inf
from time import monotonic
from typing import Any

from operators.key_walk import KeyWalk
from operators.types import END_OF_TIME_MS

QUOTA = 0.25
MOST_S = 0.1


class Rounds:
    """One after the other, through the keys that have a value in a state."""

    def __init__(self, runtime_context: Any, state_name: str, now_s: Callable[[], float] = monotonic) -> None:
        """`now_s`: a clock in seconds."""
        self._context, self._state_name, self._now_s = runtime_context, state_name, now_s
        self._walk: KeyWalk | None = None
        self._key, self._slice_ms = "", -1  # who is next, and the timer of theirs at which the next slice begins
        self._ended_s = 0.0
        self._planned: dict[int, str] = {}  # by time, at whose timer a round begins

    @property
    def under_way(self) -> bool:
        """Whether somebody's turn is still to come."""
        return self._walk is not None

    def begin(self, watermark_ms: int) -> None:
        """Begin a round, in place of one that is under way; its first slice comes with the next watermark.

        In process mode nobody can list the keys: nothing happens. The current key afterwards is that of before.
        """
        self._walk = walk = KeyWalk.begun(self._context, self._state_name)
        if walk is not None:
            place = walk.place
            if self._goes_on(walk):
                self._pause(walk, watermark_ms)
            walk.return_to(place)

    def plan(self, time_ms: int) -> None:
        """Begin a round at an event time to come, in place of one that is under way then: see `begins`.

        Who has no value in the state yet is not waited for: without any there will be no round.
        """
        walk = KeyWalk.begun(self._context, self._state_name, most=1)
        if walk is not None and walk.goes_on:
            place = walk.place
            self._planned[time_ms] = walk.step()
            walk.register(time_ms)
            walk.return_to(place)

    def begins(self, key: str, time_ms: int) -> bool:
        """Whether a timer of a key is that of a round that was planned: it has to be begun now."""
        if self._planned.get(time_ms) != key:
            return False
        del self._planned[time_ms]
        return True

    def is_time(self, key: str, time_ms: int) -> bool:
        """Whether a timer of a key is that of the next slice."""
        return time_ms == self._slice_ms and key == self._key and self._walk is not None

    def slice(self, watermark_ms: int) -> Iterator[str]:
        """The keys of the next slice, each the current one while it is looked at; the last one stays it."""
        walk, began_s = self._walk, self._now_s()
        if walk is None:
            raise RuntimeError("no round is under way")
        most_s = min(MOST_S, QUOTA * (began_s - self._ended_s)) if watermark_ms < END_OF_TIME_MS else inf
        yield self._key
        while self._goes_on(walk):
            if self._now_s() - began_s >= most_s:
                self._pause(walk, watermark_ms)
                return
            yield self._key

    def _goes_on(self, walk: KeyWalk) -> bool:
        """Step to the next key, if there is one; else the round is over."""
        if walk.goes_on:
            self._key = walk.step()
            return True
        self._walk = None
        return False

    def _pause(self, walk: KeyWalk, watermark_ms: int) -> None:
        self._slice_ms, self._ended_s = watermark_ms + 1, self._now_s()
        walk.register(self._slice_ms)
