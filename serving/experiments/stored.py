"""An experiment's sums as they stand in Redis: of what is let through here a report can be made, whoever wrote it."""

import re
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from schemas.profiles import ProfileError, unpack_versioned
from state.experiments.logic import read_body
from state.experiments.sums import Sums
from state.experiments.tally import MOST_CELLS, Cell, Tally

_MOST: Final = 2**62
"""Of all counts and cents of an experiment together: their sums are numbers of JSON's writer."""
_MOST_BYTES: Final = 32
"""Of a sum beyond 64 bits: the square of any that is let through has fewer."""
_SHARES: Final = re.compile(r"([0-9]{1,9}(:[0-9]{1,9}){0,99})?")
_Count = Annotated[int, msgspec.Meta(ge=0, le=_MOST)]
_Text = Annotated[str, msgspec.Meta(max_length=1_000)]


class _Body(msgspec.Struct):
    as_of_ms: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    cells: Annotated[list[tuple[Any, ...]], msgspec.Meta(max_length=MOST_CELLS)]
    crossed: dict[_Text, _Count]
    left_out: Annotated[int, msgspec.Meta(ge=-_MOST, le=_MOST)]


class _Named(msgspec.Struct, array_like=True):
    """As `Cell`."""

    variant: _Text
    place: Annotated[int, msgspec.Meta(ge=0, le=100)]
    shares: _Text
    segment: _Text


_Packed = tuple[int | Annotated[bytes, msgspec.Meta(max_length=_MOST_BYTES)], ...]


class Stored(NamedTuple):
    """How an experiment stood."""

    value: Mapping[str, Any]
    """As it stands in Redis, and what of it is counted:"""
    tally: Tally


def unpack_stored(packed: bytes | None) -> Stored | None:
    """None: nothing was shown of it, or these are no sums that customers can have."""
    try:
        value = unpack_versioned(packed)
        if value is None:
            return None
        body = msgspec.convert(value, _Body)
        width = len(Cell._fields)
        for cell in body.cells:
            msgspec.convert(cell[:width], _Named)
            msgspec.convert(cell[width:], _Packed)
        tally = read_body(value)
    except (ProfileError, msgspec.ValidationError, ValueError):
        return None
    return Stored(value, tally) if _can_be(tally) else None


def _can_be(tally: Tally) -> bool:
    counted = chain.from_iterable(map(_counts, tally.cells.values()))
    return (
        all(map(_are_shares, tally.cells)) and all(map(_of_customers, tally.cells.values())) and sum(counted) <= _MOST
    )


def _are_shares(cell: Cell) -> bool:
    """Whether the place is one of the shares, or nothing is known of either."""
    if not _SHARES.fullmatch(cell.shares):
        return False
    parts = [int(part) for part in cell.shares.split(":")] if cell.shares else []
    return sum(parts) > 0 and 1 <= cell.place <= len(parts) if parts else True


def _counts(sums: Sums) -> Iterable[int]:
    return sums.customers, sums.shown, sums.clicked, sums.orders, abs(sums.cents)


def _of_customers(sums: Sums) -> bool:
    """Whether there can be customers with these sums: no variance is negative, and no correlation beyond 1."""
    customers = sums.customers
    if customers < 1 or not 0 <= sums.converted <= customers or min(sums.shown, sums.clicked, sums.orders) < 0:
        return False
    shown, clicked = (sums.shown, sums.shown2), (sums.clicked, sums.clicked2)
    orders, cents = (sums.orders, sums.orders2), (sums.cents, sums.cents2)
    squares = all(total * total <= customers * square for total, square in (shown, clicked, orders, cents))
    return (
        squares
        and sums.shown_clicked**2 <= sums.shown2 * sums.clicked2
        and sums.orders_cents**2 <= sums.orders2 * sums.cents2
    )
