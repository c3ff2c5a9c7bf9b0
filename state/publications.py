"""Moments as of which everything is written, so that Redis stands as a run that ends at such a moment leaves it.

A moment is known to all subtasks of an operator while it lies ahead, and every key of theirs is woken at it. What the
watermark guarantees does the rest: it passes an operator only after all timers of the moment have fired there, so
whatever customers tell the items then is at the items before these publish, and all totals before any list is scored.

    CONTROL     "as of T" ──┐ (T is later than any watermark behind this operator)
    CUSTOMER                └─> T: profile, memberships; items are told what is new ──┐
    ITEM           announced by the customers    ───────────────> T: row, total ──┐   │
    PUBLISH        announced by the items        ───────────────────────────> T: list
"""

from typing import NamedTuple, Protocol

from state.packing import pack, unpack

VERSION = 1
KEPT = 100
"""Of the moments that were reached, so many are kept: the timers of some customers may not have fired yet."""
NONE_MS = -(1 << 63)
"""Not even later than the watermark of a job that has just started."""
ANNOUNCED = 0xC1
"""First byte of an announcement: MessagePack never begins with it, and so no message to an item and no total does."""
_KEY = "publications"


class View(Protocol):
    """Where moments are kept: small values by name."""

    def get(self, key: str) -> bytes | None: ...
    def put(self, key: str, packed: bytes) -> None: ...


class PublicationsVersionError(ValueError):
    """Moments kept by a newer program."""


class Announcement(NamedTuple):
    """As it travels from operator to operator, in the streams that are there anyway."""

    as_of_ms: int

    def packed(self) -> bytes:
        """As bytes, the first of which is ANNOUNCED."""
        return bytes([ANNOUNCED]) + pack(self.as_of_ms)

    @classmethod
    def unpacked(cls, packed: bytes) -> "Announcement":
        """The announcement again."""
        return cls(unpack(packed[1:]))


class Publications:
    """The moments of a job, past and to come; the same in every subtask."""

    def __init__(self) -> None:
        self.times_ms: dict[int, bool] = {}  # whether it was reached
        self.newest_ms = NONE_MS  # of those that lie ahead
        self._view: View | None = None

    def load(self, view: View) -> None:
        """Go on where `view` stands.

        Raises:
            PublicationsVersionError: a newer program wrote it.
        """
        self._view = view
        packed = view.get(_KEY)
        if packed is not None:
            version, times = unpack(packed)
            if version != VERSION:
                raise PublicationsVersionError(f"publications of version {version}; this program reads {VERSION}")
            self.times_ms = dict(times)
            self._look()

    def add(self, as_of_ms: int) -> None:
        """A moment to come."""
        self.times_ms[as_of_ms] = False
        for time_ms in sorted(one for one, reached in self.times_ms.items() if reached)[:-KEPT]:
            del self.times_ms[time_ms]
        self._look()
        self._save()

    def reached(self, as_of_ms: int) -> None:
        """A customer has come to it: nobody has to be told of it any more."""
        if not self.times_ms[as_of_ms]:
            self.times_ms[as_of_ms] = True
            self._look()
            self._save()

    def next_ms(self, after_ms: int) -> int:
        """The first moment ahead that is after a time; there must be one (`newest_ms`)."""
        return min(time_ms for time_ms, reached in self.times_ms.items() if not reached and time_ms > after_ms)

    def announcements(self, watermark_ms: int) -> list[bytes]:
        """What operators behind this one have to know; to know it twice does no harm."""
        for time_ms in self.times_ms:
            if time_ms <= watermark_ms:
                self.reached(time_ms)
        return [Announcement(time_ms).packed() for time_ms, reached in sorted(self.times_ms.items()) if not reached]

    def _look(self) -> None:
        self.newest_ms = max((time_ms for time_ms, reached in self.times_ms.items() if not reached), default=NONE_MS)

    def _save(self) -> None:
        if self._view is not None:
            self._view.put(_KEY, pack([VERSION, list(self.times_ms.items())]))
