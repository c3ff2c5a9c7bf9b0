"""The sums of one item: its own count and its pairs', exact to the last unit.

Bound. A row has at most one entry for each product of the catalogue. Over all rows of a relation, a customer occupies
at most 2 * 50*49/2 = 2,450 entries: a ledger has at most 50 entries, so at most 50*49/2 = 1,225 unordered pairs of
distinct products (of one session, or of one customer), each an entry in two rows, and customers share entries but
never split one. An entry whose sums return to zero is deleted, so rows never hold more than what present ledgers make.

There is no cap on the length of a row: a rule such as "the 2,000 best partners" applied to a row as it grows would
depend on the order of arrival, and could not undo what it forgot. The caps are where they are a rule on the set of
events: the newest entries of a ledger, and the distance within a session.
"""

from typing import Any, Final

from state.packing import pack, unpack
from state.similar.errors import expect_version
from state.similar.message import BASE, PARTNERS, SUPPORT, VALUE, Fields
from state.similar.wide import narrow, widen, widen_all

_VERSION: Final = 1


class ItemRow:
    """Own count, pairs and their supports; values are multiples of 2^base.

    Equal sums pack to equal bytes, whatever the order of the messages that made them. Every change can be undone by
    the opposite message.
    """

    __slots__ = ("_base", "_support", "_supports", "_total", "_values")

    def __init__(self) -> None:
        self._base = 0
        self._total = 0
        self._support = 0
        self._values: dict[str, int] = {}
        self._supports: dict[str, int] = {}

    @property
    def total(self) -> tuple[int, int]:
        """The item's own count as (number, base): number * 2^base."""
        return self._total, self._base

    @property
    def support(self) -> int:
        """How many appearances the total sums."""
        return self._support

    @property
    def values(self) -> dict[str, int]:
        """Sum of each partner's pairs, in multiples of 2^base; not to be changed."""
        return self._values

    @property
    def supports(self) -> dict[str, int]:
        """Number of each partner's pairs; not to be changed."""
        return self._supports

    @property
    def is_empty(self) -> bool:
        """Nothing is left of any contribution."""
        return not (self._values or self._total or self._support)

    def apply(self, fields: Fields) -> None:
        """Add the change that a message carries (`read_message`); the cost goes with the message's length."""
        shift = fields[BASE] - self._base
        if shift < 0:
            self._lower(fields[BASE])
            shift = 0
        elif shift > 0 and self.is_empty:
            self._base = fields[BASE]
            shift = 0
        self._total += fields[VALUE] << shift
        self._support += fields[SUPPORT]
        values, supports = self._values, self._supports
        entries = iter(fields[PARTNERS:])
        for partner, change, count in zip(entries, entries, entries, strict=True):
            value = values.get(partner, 0) + (change << shift)
            support = supports.get(partner, 0) + count
            if value or support:
                values[partner] = value
                supports[partner] = support
            else:
                # both are there unless the message says "nothing" of a partner never met
                values.pop(partner, None)
                supports.pop(partner, None)

    def pack(self) -> bytes:
        """The row as versioned, canonical bytes."""
        self._raise()
        partners = sorted(self._values)
        values = [self._values[partner] for partner in partners]
        supports = [self._supports[partner] for partner in partners]
        head = [_VERSION, self._base, narrow(self._total), self._support, partners]
        try:
            packed: bytes = pack([*head, values, supports])
        except OverflowError:
            packed = pack([*head, [narrow(value) for value in values], supports])
        return packed

    @classmethod
    def unpack(cls, packed: bytes) -> "ItemRow":
        """The row again.

        Raises:
            SimilarStateError: a newer program wrote it.
        """
        fields: list[Any] = unpack(packed)
        expect_version(fields[0], _VERSION, "an item's sums")
        row = cls()
        _, row._base, total, row._support, partners, values, supports = fields
        row._total = widen(total)
        row._values = dict(zip(partners, widen_all(values), strict=True))
        row._supports = dict(zip(partners, supports, strict=True))
        return row

    def _lower(self, base: int) -> None:
        """Express all sums in a smaller unit, because a change came that needs it."""
        if self.is_empty:
            self._base = base
            return
        shift = self._base - base
        self._base = base
        self._total <<= shift
        self._values = {partner: value << shift for partner, value in self._values.items()}

    def _raise(self) -> None:
        """Express all sums in the largest unit that divides them: the canonical one; 1 if there is nothing."""
        bits = self._total
        for value in self._values.values():
            bits |= value
        if not bits:
            self._base = 0
            return
        shift = (bits & -bits).bit_length() - 1
        if shift:
            self._base += shift
            self._total >>= shift
            self._values = {partner: value >> shift for partner, value in self._values.items()}
