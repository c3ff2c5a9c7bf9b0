"""Moments of publication (state/publications.py) in an operator behind the customers: every key is woken at them."""

from functools import partial
from typing import Any

from operators.every_key import every_key
from state.publications import ANNOUNCED, Announcement

__all__ = ["ANNOUNCED", "Announced"]


class Announced:
    """The moments that lie ahead, as one subtask knows them: in memory, as they are announced again after a restart.

    Keys that are there get their timers with the announcement, the others as they come.
    """

    def __init__(self, runtime_context: Any, state_name: str) -> None:
        """`state_name`: the state whose keys are meant."""
        self.times_ms: list[int] = []
        self._every_key = partial(every_key, runtime_context, state_name)

    def take(self, payload: bytes, now_ms: int) -> bool:
        """Take in an announcement; False if it was known. `now_ms`: the watermark."""
        as_of_ms = Announcement.unpacked(payload).as_of_ms
        if as_of_ms <= now_ms or as_of_ms in self.times_ms:
            return False
        self.times_ms.append(as_of_ms)
        self._every_key(as_of_ms)
        return True

    def wake(self, timers: Any) -> None:
        """See that the current key is woken. To be called with each record while `times_ms` holds anything."""
        now_ms = timers.current_watermark()
        self.times_ms = [time_ms for time_ms in self.times_ms if time_ms > now_ms]
        for time_ms in self.times_ms:
            timers.register_event_time_timer(time_ms)
