"""When an item has changed enough to matter: to rewrite its row, publish it, or tell the others its total."""

from typing import Any, Final, NamedTuple

from state.packing import pack, unpack
from state.similar.errors import expect_version
from state.similar.message import BASE, FLAGS, PARTNERS, PROMPT, SUPPORT, VALUE, Fields
from state.similar.row import ItemRow
from state.similar.row_state import should_compact
from state.similar.wide import narrow, widen

ROW_SHARE: Final = 8
"""A row is published once an eighth of its sums has moved since the last time."""
TOTAL_SHARE: Final = 8
"""A total is broadcast once it differs by an eighth from the last one told."""
_VERSION: Final = 1


class Due(NamedTuple):
    """What an item should do after a message."""

    row: bool
    """Publish its candidates."""
    total: bool
    """Broadcast its total."""
    compact: bool
    """Rewrite the stored row; publishing loads it anyway, and so is a good time to."""


class PublishPolicy:
    """A few numbers of an item that let most messages pass without touching its row.

    Live lists lag by at most these shares; the final lists of a bounded run do not depend on them, as every item then
    publishes its last row and total. In forward decay sums grow without end, doubling in each half-life of steady
    traffic, so a steady item publishes about ln 2 * 8 = 6 times in a half-life, whatever its traffic.

    Bound: about 60 bytes packed.
    """

    __slots__ = ("_base", "_mass", "_mass_sent", "_moved", "_partners", "_pending", "_support", "_total", "_total_sent")

    def __init__(self) -> None:
        self._base = 0
        self._total = 0
        self._support = 0
        self._total_sent = 0
        self._mass = 0
        """Total and all pairs."""
        self._mass_sent = 0
        self._moved = 0
        """Sum of all changes, up and down, since the row was last published."""
        self._pending = 0
        self._partners = 0
        """Of the row when it was last loaded."""

    @property
    def total(self) -> tuple[int, int]:
        """The item's own count as (number, base): number * 2^base; the row's, always up to date."""
        return self._total, self._base

    @property
    def pending(self) -> int:
        """Messages since the row was last stored, the one noted last among them."""
        return self._pending

    def note(self, fields: Fields) -> Due:
        """Take account of one message (`read_message`) and say what is due. Its cost goes with the message's length."""
        own, values = fields[VALUE], fields[PARTNERS + 1 :: 3]
        mass = own + sum(values)
        moved = mass if own >= 0 and (not values or min(values) >= 0) else abs(own) + sum(map(abs, values))
        shift = self._common(fields[BASE])
        self._total += own << shift
        self._support += fields[SUPPORT]
        self._mass += mass << shift
        self._moved += moved << shift
        self._pending += 1
        prompt = bool(fields[FLAGS] & PROMPT)
        off = abs(self._total - self._total_sent)
        return Due(
            bool(self._moved) and (prompt or self._moved * ROW_SHARE >= self._mass_sent),
            bool(off) and (prompt or self._total <= 0 or off * TOTAL_SHARE >= self._total_sent),
            should_compact(self._pending, self._partners),
        )

    def at_end(self) -> Due:
        """What is due when no more messages come: all that was not sent as it is now."""
        return Due(row=bool(self._moved), total=self._total != self._total_sent, compact=self._pending > 0)

    def row_published(self) -> None:
        """The row went out as it is now."""
        self._mass_sent = self._mass
        self._moved = 0

    def total_told(self) -> None:
        """The total went out as it is now."""
        self._total_sent = self._total

    def compacted(self, row: ItemRow) -> None:
        """The stored row is `row`, and no message waits."""
        self._pending = 0
        self._partners = len(row)

    def pack(self) -> bytes:
        """As versioned bytes."""
        numbers = (self._total, self._total_sent, self._mass, self._mass_sent, self._moved)
        packed: bytes = pack(
            [_VERSION, self._base, self._support, self._pending, self._partners, *map(narrow, numbers)]
        )
        return packed

    @classmethod
    def unpack(cls, packed: bytes | None) -> "PublishPolicy":
        """From bytes; a new one from None.

        Raises:
            SimilarStateError: a newer program wrote them.
        """
        policy = cls()
        if packed is None:
            return policy
        fields: list[Any] = unpack(packed)
        expect_version(fields[0], _VERSION, "an item's publish policy")
        _, policy._base, policy._support, policy._pending, policy._partners, *numbers = fields
        policy._total, policy._total_sent, policy._mass, policy._mass_sent, policy._moved = map(widen, numbers)
        return policy

    def _common(self, base: int) -> int:
        """Bring own numbers to a base that fits the message's as well; how far the message's must be shifted."""
        shift = base - self._base
        if not (self._moved or self._mass or self._total or self._mass_sent or self._total_sent):
            self._base = base
            return 0
        if shift < 0:
            self._base = base
            self._total <<= -shift
            self._total_sent <<= -shift
            self._mass <<= -shift
            self._mass_sent <<= -shift
            self._moved <<= -shift
            return 0
        return shift
