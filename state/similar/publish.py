"""The publish step: scores an item's candidates against the totals that the others have told."""

from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Final, TypeAlias, cast

from state.packing import pack, unpack
from state.similar.errors import expect_version
from state.similar.ranking import Listed, Ranking
from state.similar.score import Total, unpack_candidates
from state.similar.settings import RELATIONS, Relation, SimilarSettings
from state.similar.wide import narrow, widen

Written: TypeAlias = list[Listed] | None
"""A list to write; empty: delete it; None: leave it."""
_VERSION: Final = 1


def _none(key: str) -> None:
    """No total is stored."""


def item_key(relation: Relation, item: str) -> str:
    """What messages, rows and totals of an item are keyed by."""
    return f"{relation}|{item}"


def pack_total(key: str, total: Total) -> bytes:
    """A total with its item's key as versioned bytes, to be broadcast and kept."""
    packed: bytes = pack([_VERSION, key, narrow(total[0]), total[1]])
    return packed


def unpack_total(packed: bytes) -> tuple[str, Total]:
    """The key and the total again.

    Raises:
        SimilarStateError: a newer program wrote it.
    """
    version, key, number, base = unpack(packed)
    expect_version(version, _VERSION, "an item's total")
    return key, (widen(number), base)


class Publisher:
    """The totals of all items, and the scoring of rows as they come.

    The totals live in memory; an operator keeps their bytes in its broadcast state too, and lets this look there for
    what it does not know, as after a restart. What is remembered for an item goes in and out as bytes: its last row and
    a digest of its list. Live lists are scored by the totals known when the row came; at the end of a bounded run, once
    each item has sent its last row and total, `final` scores each row again, and the result depends on nothing but the
    sums.

    Bound: one total for each item and relation; for each item the last row (at most `candidates_max` partners), or
    nothing once the item has no partners.
    """

    def __init__(self, settings: SimilarSettings) -> None:
        self._rankings = {relation: Ranking(relation, settings) for relation in RELATIONS}

    def on_total(self, relation: Relation, item: str, total: int, base: int) -> None:
        """An item's total is number * 2^base from now on."""
        self._rankings[relation].put(item, (total, base))

    def on_packed_total(self, packed: bytes) -> str:
        """The same from bytes; returns the item's key, under which they are to be stored."""
        key, total = unpack_total(packed)
        relation, _, item = key.partition("|")
        self._rankings[cast("Relation", relation)].put(item, total)
        return key

    def on_row(
        self,
        relation: Relation,
        state: bytes | None,
        row: bytes,
        stored_total: Callable[[str], bytes | None] = _none,
        *,
        again: bool = False,
    ) -> tuple[bytes | None, Written]:
        """An item's candidates have changed.

        Args:
            relation: which of the two.
            state: what this returned for the item last time; None at first.
            row: packed candidates.
            stored_total: by key the bytes given to `on_packed_total`, asked for what is not in memory.
            again: write a list also if it is the one written last.

        Returns:
            What to keep for the item, None if nothing; and the list to write, empty if the one written before is to be
            deleted, or None if there is nothing to write, as the list is the one written last.
        """

        def looked_up(item: str) -> Total | None:
            packed = stored_total(item_key(relation, item))
            return None if packed is None else unpack_total(packed)[1]

        known = _unpack_state(state)[1]
        candidates = unpack_candidates(row)
        found = self._rankings[relation].best(candidates, looked_up)
        digest = blake2b(pack(found), digest_size=16).digest() if found else b""
        kept = pack([_VERSION, row, digest]) if candidates.items else None
        return kept, found if digest != known or (again and found) else None

    def keep(self, row: bytes) -> bytes:
        """Keep an item's first row for `final`, unscored; returns what to keep for the item."""
        kept: bytes = pack([_VERSION, row, b""])
        return kept

    def final(
        self,
        relation: Relation,
        state: bytes,
        stored_total: Callable[[str], bytes | None] = _none,
        *,
        again: bool = False,
    ) -> tuple[bytes | None, Written]:
        """Score an item's last row by the totals known now; takes and returns what `on_row` does."""
        return self.on_row(relation, state, _unpack_state(state)[0], stored_total, again=again)


def _unpack_state(state: bytes | None) -> tuple[bytes, bytes]:
    """The last row, and the digest of the list written last; both empty at first."""
    if state is None:
        return b"", b""
    fields: list[Any] = unpack(state)
    expect_version(fields[0], _VERSION, "an item's published list")
    return fields[1], fields[2]
