"""The publish operator's logic: scores an item's candidates by the totals of all, and writes the list if it is new."""

from collections.abc import Iterable
from itertools import starmap
from typing import Any, Protocol

import msgspec

from schemas.writes import similar_write
from state.channels import Channel, Output
from state.items.item import split_key
from state.packing import pack, unpack
from state.similar.errors import expect_version
from state.similar.publish import Publisher
from state.similar.settings import SimilarSettings
from state.versions import version_at

VERSION = 1
_encode = msgspec.json.Encoder().encode


class _Entry(msgspec.Struct, gc=False):
    """One neighbour of a record."""

    item_id: str
    score: float
    support: int


class _List(msgspec.Struct, gc=False):
    """A record of the topic."""

    relation: str
    item_id: str
    as_of_ms: int
    version: int
    neighbours: list[_Entry]


class ValueStore(Protocol):
    """One packed value of the current item."""

    def load(self) -> bytes | None: ...

    def save(self, packed: bytes) -> None: ...


class Totals(Protocol):
    """The broadcast totals, as packed when they came."""

    def get(self, key: str) -> bytes | None: ...

    def put(self, key: str, packed: bytes) -> None: ...


class PublishLogic:
    """Scores rows as they come; in a bounded run (`as_of_ms`) only at its end, by the final totals.

    A live list (`as_of_ms` None) is told twice: as a write for Redis and as a record for a topic.
    """

    def __init__(self, settings: SimilarSettings, as_of_ms: int | None = None) -> None:
        self._publisher = Publisher(settings)
        self._as_of_ms = as_of_ms

    def on_total(self, payload: bytes, totals: Totals) -> None:
        """An item's total, told to all."""
        totals.put(self._publisher.on_packed_total(payload), payload)

    def on_row(
        self, key: str, payload: bytes, totals: Totals, store: ValueStore, watermark_ms: int
    ) -> Iterable[Output]:
        """An item's candidates have changed."""
        relation, _ = split_key(key)
        count, known, shown_ms = _unpacked(store.load())
        if self._as_of_ms is not None:  # its score would be made again by the final totals, before anybody reads it
            store.save(_packed(count + 1, self._publisher.keep(payload), 0))
            return []
        kept, found = self._publisher.on_row(relation, known, payload, totals.get)
        # after a restart there is no watermark for a moment, but versions move forward only
        as_of_ms = max(shown_ms, watermark_ms)
        store.save(_packed(count + 1, kept, as_of_ms))
        return self._writes(key, found, count + 1, as_of_ms)

    def on_end(self, key: str, totals: Totals, store: ValueStore) -> Iterable[Output]:
        """The end of a bounded run: every total is final, so this score is."""
        return self._final(key, totals, store, self._as_of_ms or 0, again=False)

    def on_publication(self, key: str, as_of_ms: int, totals: Totals, store: ValueStore) -> Iterable[Output]:
        """All lists are to be written as of now, and all totals have come."""
        return self._final(key, totals, store, as_of_ms, again=True)

    def _final(self, key: str, totals: Totals, store: ValueStore, now_ms: int, *, again: bool) -> Iterable[Output]:
        relation, _ = split_key(key)
        count, known, shown_ms = _unpacked(store.load())
        if known is None:
            return ()
        kept, found = self._publisher.final(relation, known, totals.get, again=again)
        as_of_ms = max(shown_ms, now_ms)
        store.save(_packed(count + 1, kept, as_of_ms))
        return self._writes(key, found, count + 1, as_of_ms)

    def _writes(self, key: str, found: Any, count: int, as_of_ms: int) -> list[Output]:
        if found is None:
            return []
        relation, item = split_key(key)
        version = version_at(as_of_ms, count)
        writes: list[Output] = [(Channel.REDIS, key, similar_write(relation, item, version, as_of_ms, found))]
        if self._as_of_ms is None:
            writes.append((Channel.SIMILAR, key, _record(relation, item, version, as_of_ms, found)))
        return writes


def _record(relation: str, item: str, version: int, as_of_ms: int, found: Any) -> bytes:
    """The list as JSON; empty: withdrawn."""
    if not found:
        return b""
    return _encode(_List(relation, item, as_of_ms, version, list(starmap(_Entry, found))))


def _packed(count: int, kept: bytes | None, shown_ms: int) -> bytes:
    return pack((VERSION, count, kept, shown_ms))


def _unpacked(packed: bytes | None) -> tuple[int, bytes | None, int]:
    """(rows so far, what the publisher keeps, the newest time of a list)."""
    if packed is None:
        return 0, None, 0
    version, *fields = unpack(packed)
    expect_version(version, VERSION, "an item's published list")
    count, kept, shown_ms = fields
    return count, kept, shown_ms
