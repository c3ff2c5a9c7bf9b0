"""The sums of one item: its own count and its pairs', exact to the last unit.

Bound. A row has at most one entry for each product of the catalogue. Over all rows of a relation, a customer occupies
at most 2 * 50*49/2 = 2,450 entries: a ledger has at most 50 entries, so at most 50*49/2 = 1,225 unordered pairs of
distinct products (of one session, or of one customer), each an entry in two rows, and customers share entries but
never split one. An entry whose sums return to zero is deleted, so rows never hold more than what present ledgers make.

There is no cap on the length of a row: a rule such as "the 2,000 best partners" applied to a row as it grows would
depend on the order of arrival, and could not undo what it forgot. The caps are where they are a rule on the set of
events: the newest entries of a ledger, and the distance within a session.
"""

from bisect import bisect_left
from typing import Any, Final

from state.packing import pack, unpack
from state.similar.errors import expect_version
from state.similar.message import BASE, PARTNERS, SUPPORT, VALUE, Fields
from state.similar.wide import narrow, widen, widen_all

_VERSION: Final = 1
_NOTHING: Final = 0, 0
_FEW: Final = 32
"""So many new partners find their places one by one; more are sorted in with all others."""


class ItemRow:
    """Own count, pairs and their supports; values are multiples of 2^base.

    Equal sums pack to equal bytes, whatever the order of the messages that made them. Every change can be undone by
    the opposite message.

    The sums are kept as they are packed: in columns, by partner. A new partner waits in a dict until the columns are
    asked for, as a place in the middle of a long column costs more than a change.
    """

    __slots__ = ("_base", "_gone", "_new", "_partners", "_support", "_supports", "_total", "_values")

    def __init__(self) -> None:
        self._base = 0
        self._total = 0
        self._support = 0
        self._partners: list[str] = []
        self._values: list[int] = []
        self._supports: list[int] = []
        self._new: dict[str, tuple[int, int]] = {}
        """Value and support of partners that are not in the columns; never both 0."""
        self._gone = False
        """Whether sums in the columns may have returned to zero."""

    def __len__(self) -> int:
        """How many partners there are."""
        return len(self.columns()[0])

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
        """Sum of each partner's pairs, in multiples of 2^base."""
        partners, values, _ = self.columns()
        return dict(zip(partners, values, strict=True))

    @property
    def supports(self) -> dict[str, int]:
        """Number of each partner's pairs."""
        partners, _, supports = self.columns()
        return dict(zip(partners, supports, strict=True))

    @property
    def is_empty(self) -> bool:
        """Nothing is left of any contribution."""
        return not (self._total or self._support or self.columns()[0])

    def columns(self) -> tuple[list[str], list[int], list[int]]:
        """The partners in order, the sum of each one's pairs in multiples of 2^base, and their number.

        Not to be changed.
        """
        if self._gone:
            self._drop_gone()
        if self._new:
            self._take_in_new()
        return self._partners, self._values, self._supports

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
        partners, values, supports, new = self._partners, self._values, self._supports, self._new
        end = len(partners)
        columns = fields[PARTNERS::3], fields[PARTNERS + 1 :: 3], fields[PARTNERS + 2 :: 3]
        for partner, change, count in zip(*columns, strict=True):
            at = bisect_left(partners, partner)
            if at < end and partners[at] == partner:
                values[at] = value = values[at] + (change << shift)
                supports[at] = support = supports[at] + count
                if not (value or support):
                    self._gone = True
                continue
            value, support = new.get(partner, _NOTHING)
            value += change << shift
            support += count
            if value or support:
                new[partner] = value, support
            else:  # it is there unless the message says "nothing" of a partner never met
                new.pop(partner, None)

    def pack(self) -> bytes:
        """The row as versioned, canonical bytes."""
        partners, values, supports = self.columns()
        self._raise()
        values = self._values
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
        _, row._base, total, row._support, row._partners, values, row._supports = fields
        row._total = widen(total)
        row._values = widen_all(values)
        return row

    def _drop_gone(self) -> None:
        """Take out of the columns what returned to zero."""
        self._gone = False
        gone = [at for at, value in enumerate(self._values) if not (value or self._supports[at])]
        for at in reversed(gone):
            del self._partners[at], self._values[at], self._supports[at]

    def _take_in_new(self) -> None:
        """Give the new partners their places in the columns."""
        partners, values, supports, new = self._partners, self._values, self._supports, self._new
        self._new = {}
        if len(new) <= _FEW:
            for partner, (value, support) in new.items():
                at = bisect_left(partners, partner)
                partners.insert(at, partner)
                values.insert(at, value)
                supports.insert(at, support)
            return
        partners += new
        values += [value for value, _ in new.values()]
        supports += [support for _, support in new.values()]
        order = sorted(range(len(partners)), key=partners.__getitem__)
        self._partners = [partners[at] for at in order]
        self._values = [values[at] for at in order]
        self._supports = [supports[at] for at in order]

    def _lower(self, base: int) -> None:
        """Express all sums in a smaller unit, because a change came that needs it."""
        if self.is_empty:
            self._base = base
            return
        shift = self._base - base
        self._base = base
        self._total <<= shift
        self._values = [value << shift for value in self.columns()[1]]

    def _raise(self) -> None:
        """Express all sums in the largest unit that divides them: the canonical one; 1 if there is nothing."""
        bits = self._total
        for value in self.columns()[1]:
            bits |= value
            if bits & 1:  # as most rows have it, since they were raised before
                return
        if not bits:
            self._base = 0
            return
        shift = (bits & -bits).bit_length() - 1
        if shift:
            self._base += shift
            self._total >>= shift
            self._values = [value >> shift for value in self._values]
