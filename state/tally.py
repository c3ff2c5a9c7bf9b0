"""Plain integers that the logics count with, for whoever shows them. None is state: a restart begins at nought."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from schemas.rejects import Reason

_AT_ONCE = frozenset(("event", "refund", "consent", "erasure"))
"""Causes of a change that is said while the record of its event is being processed."""


class _Turn(Protocol):
    @property
    def segment(self) -> str: ...
    @property
    def entered(self) -> bool: ...
    @property
    def cause(self) -> tuple[str, str | None]: ...


class ControlTally:
    """Control records that were refused."""

    __slots__ = ("rejected",)

    def __init__(self) -> None:
        self.rejected: dict[str, int] = {Reason.INVALID_CONTROL.value: 0}

    def reject(self, reason: str) -> None:
        """One record was refused."""
        self.rejected[reason] = self.rejected.get(reason, 0) + 1


class CustomerTally:
    """Outcomes of events, and what was said. An event has one outcome."""

    __slots__ = ("applied", "at_once", "changes", "duplicate", "late", "profiles", "rejected", "suppressed")

    def __init__(self, segments: Iterable[str] = ()) -> None:
        """`segments`: those that are shown before anybody has turned."""
        self.applied = self.duplicate = self.late = self.suppressed = 0
        self.rejected: dict[str, int] = {reason.value: 0 for reason in Reason}
        self.changes: dict[tuple[str, bool], int] = {(name, way): 0 for name in segments for way in (True, False)}
        """By (segment, whether entered), corrections among them."""
        self.at_once = 0
        """Changes that their event caused directly: not those of passing time or of events out of order."""
        self.profiles = 0
        """Writes of profiles and tombstones."""

    def reject(self, reason: str) -> None:
        """One event was rejected."""
        self.rejected[reason] = self.rejected.get(reason, 0) + 1

    def turned(self, turns: Sequence[_Turn]) -> None:
        """These changes are said now."""
        changes = self.changes
        for turn in turns:
            way = (turn.segment, turn.entered)
            changes[way] = changes.get(way, 0) + 1
            if turn.cause[0] in _AT_ONCE:
                self.at_once += 1


class AssignTally:
    """What was said of segments that ask about the population."""

    __slots__ = ("changes", "views")

    def __init__(self, segments: Iterable[str] = ()) -> None:
        """`segments`: those that are shown before anybody has turned."""
        self.changes: dict[tuple[str, bool], int] = {(name, way): 0 for name in segments for way in (True, False)}
        """By (segment, whether entered)."""
        self.views = 0
        """Views of the population that came into force."""

    def turned(self, segment: str, *, entered: bool) -> None:
        """This change is said now."""
        way = (segment, entered)
        self.changes[way] = self.changes.get(way, 0) + 1


class MergerTally:
    """What was learned of the population, by kind of event."""

    __slots__ = ("events", "intervals")

    def __init__(self) -> None:
        self.events: dict[str, int] = dict.fromkeys(("view", "drift", "born", "died", "split", "merged"), 0)
        self.intervals = 0

    def happened(self, kind: str) -> None:
        """One more of them."""
        self.events[kind] = self.events.get(kind, 0) + 1
