"""A customer's two ledgers: the newest interactions that make pairs.

Ledgers are tuples of plain tuples in event order, oldest first, so that they cost nothing to keep and compare:

* viewed: `(time_ms, session_key, product_id)`, one for each product view; order (time, event id).
* bought: `(time_ms, order_key, product_id, live)`, one for each distinct product of an order, at the order's time;
  order (order time, order's event id, product id). `live` turns false once all units of it went back: the entry keeps
  its place, so that a refund does not call older entries back, but makes no pair and no count.

A key is any integer of 64 bits that tells sessions (or orders) of one customer apart: the session's start, say.

Bound: `ledger_max` entries (50) each. It is a rule on the set of events, the newest by event order, and `newest` counts
what it leaves out.
"""

from collections.abc import Sequence
from typing import Any, Final, TypeAlias, TypeVar

from state.packing import pack, unpack
from state.similar.errors import expect_version

Viewed: TypeAlias = tuple[int, int, str]
Bought: TypeAlias = tuple[int, int, str, bool]
Entry = TypeVar("Entry")

_VERSION: Final = 1


def newest(entries: Sequence[Entry], limit: int) -> tuple[tuple[Entry, ...], int]:
    """The newest `limit` entries of a ledger, and how many older ones that leaves out."""
    left_out = max(0, len(entries) - limit)
    return tuple(entries[left_out:]), left_out


def pack_viewed(ledger: Sequence[Viewed]) -> bytes:
    """A viewed ledger as versioned bytes, about 12 + the length of the product id for each entry."""
    times, keys, key_of, products = _columns(ledger)
    return pack([_VERSION, times, keys, key_of, products])


def unpack_viewed(packed: bytes) -> tuple[Viewed, ...]:
    """The viewed ledger again.

    Raises:
        SimilarStateError: a newer program wrote it.
    """
    fields: list[Any] = unpack(packed)
    version, deltas, keys, key_of, products = fields
    expect_version(version, _VERSION, "a viewed ledger")
    return tuple(zip(_times(deltas), [keys[place] for place in key_of], products, strict=True))


def pack_bought(ledger: Sequence[Bought]) -> bytes:
    """A bought ledger as versioned bytes."""
    times, keys, key_of, products = _columns(ledger)
    live = sum(1 << place for place, entry in enumerate(ledger) if entry[3])
    return pack([_VERSION, times, keys, key_of, products, live.to_bytes((len(ledger) + 7) // 8, "little")])


def unpack_bought(packed: bytes) -> tuple[Bought, ...]:
    """The bought ledger again.

    Raises:
        SimilarStateError: a newer program wrote it.
    """
    fields: list[Any] = unpack(packed)
    version, deltas, keys, key_of, products, mask = fields
    expect_version(version, _VERSION, "a bought ledger")
    live = int.from_bytes(mask, "little")
    lives = [bool(live >> place & 1) for place in range(len(products))]
    return tuple(zip(_times(deltas), [keys[place] for place in key_of], products, lives, strict=True))


def _columns(ledger: Sequence[Viewed] | Sequence[Bought]) -> tuple[list[int], list[int], list[int], list[str]]:
    """Times as steps from one to the next, distinct keys, each entry's place among them, products."""
    deltas: list[int] = []
    before = 0
    places: dict[int, int] = {}
    key_of: list[int] = []
    for entry in ledger:
        deltas.append(entry[0] - before)
        before = entry[0]
        key_of.append(places.setdefault(entry[1], len(places)))
    return deltas, list(places), key_of, [entry[2] for entry in ledger]


def _times(deltas: list[int]) -> list[int]:
    times = []
    time_ms = 0
    for delta in deltas:
        time_ms += delta
        times.append(time_ms)
    return times
