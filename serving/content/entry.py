"""One banner or message, and the choice among them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from serving.conditions import ConditionSet


class Entry(NamedTuple):
    """What may be shown in a slot."""

    name: str
    slot: str
    priority: int
    """The entry of the highest priority wins; of equal ones the first in the file."""
    fields: Mapping[str, Any]
    """What is to be shown: kind, title, text, url, image_url, and whatever stands in `data`."""
    from_ms: int | None
    until_ms: int | None
    """In force from (included) until (not included), milliseconds since 1970; None: no limit."""
    condition: int | None
    """Bit of its condition in the file's `ConditionSet`; None: for everybody."""
    condition_text: str | None

    def in_time(self, now_ms: int) -> bool:
        """Whether it is in force."""
        return (self.from_ms is None or now_ms >= self.from_ms) and (self.until_ms is None or now_ms < self.until_ms)


@dataclass(frozen=True, slots=True)
class Content:
    """All entries of a file, those to be preferred first."""

    entries: tuple[Entry, ...]
    conditions: ConditionSet | None
    version: str
    """12 hex digits over the file's text, to tell which one was in force."""

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the slots there are."""
        return tuple(sorted({entry.slot for entry in self.entries}))

    def choose(
        self, slot: str, profile: Mapping[str, Any] | None, now_ms: int, *, profile_read: bool = True
    ) -> Entry | None:
        """What a customer sees in a slot now; None: nothing.

        Args:
            slot: the place on the page.
            profile: None: of one of whom nothing is known.
            now_ms: milliseconds since 1970.
            profile_read: False: it could not be read, or not all of it. No condition holds then, not even one for those
                who are not in a segment: that cannot be said of somebody who may be.
        """
        holding = 0 if self.conditions is None or not profile_read else self.conditions.holding(profile, now_ms)
        return next((entry for entry in self.entries if entry.slot == slot and _holds(entry, holding, now_ms)), None)

    def holding(self, profile: Mapping[str, Any] | None, now_ms: int) -> dict[str, bool]:
        """Of every entry by name whether it may be shown to a customer now."""
        holding = 0 if self.conditions is None else self.conditions.holding(profile, now_ms)
        return {entry.name: _holds(entry, holding, now_ms) for entry in self.entries}


def _holds(entry: Entry, holding: int, now_ms: int) -> bool:
    return entry.in_time(now_ms) and (entry.condition is None or bool(holding >> entry.condition & 1))
