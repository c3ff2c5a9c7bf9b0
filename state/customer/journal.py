"""The newest facts of a customer, kept whole so that a late one can be put in its place and all applied again.

The journal holds every accepted fact since the oldest snapshot, in event order. A snapshot is what the fold needs to
stand again as it stood; the oldest one lies before the allowed lateness, so any event that is not too late has one
before it. How many there are is bounded: they thin out with distance.

    snapshots   S0 ........ S1 ........... S2 .... S3 . S4
    facts        | f f f f  | f f f f f f  | f f f | f  |  f f      <- now
                 ^ older than the lateness       ^ a late event replays from the snapshot before it
"""

from collections.abc import Iterable, Sequence
from math import inf
from typing import Any, NamedTuple, TypeAlias

import msgspec

from schemas.facts import Fact, Kind
from state.chunks import CHUNK_NUMBER_BITS, ChunkStore, RecordColumn
from state.customer.fold import RECENT, SNAPSHOTS
from state.packing import pack, part, unpack

FACTS_PER_CHUNK = 64
FACTS_PER_SNAPSHOT = 64
SNAPSHOTS_MAX = 10
CONTEXTS_MAX = 64
SNAPSHOT_INLINE_BYTES = 600

Context: TypeAlias = tuple[str | None, str | None, str | None, str | None]
"""Session id, device, location, channel."""

_SNAPSHOT_CHUNKS = SNAPSHOTS << CHUNK_NUMBER_BITS
_SIMPLE = frozenset(Kind) - {
    Kind.ORDER_COMPLETED, Kind.ORDER_REFUNDED, Kind.ORDER_CANCELLED, Kind.CONSENT, Kind.RECOMMENDATION_SHOWN,
    Kind.RECOMMENDATION_CLICKED,
}  # fmt: skip
"""Kinds of which only the fields up to the quantity matter to the fold."""


class Snapshot(NamedTuple):
    """The customer as of `clock_ms`, before the fact at `facts_end` of the facts' column."""

    clock_ms: int
    facts_end: int
    number: int
    packed: bytes


class Journal:
    """Facts and snapshots; also knows every event id it holds, which is how duplicates are found."""

    __slots__ = ("_ids", "contexts", "facts", "saved", "snapshots", "stored", "taken", "wanted")

    def __init__(self) -> None:
        self.facts = RecordColumn(RECENT, FACTS_PER_CHUNK)
        self._ids: set[str] | None = set()
        self.snapshots: list[Snapshot] = []
        self.taken = 0  # snapshots ever taken
        self.stored: set[int] = set()  # numbers of those that lie in the store, being large
        self.contexts: dict[Context, int] = {}  # a visit's events have it in common
        self.wanted = False  # a snapshot, as soon as time moves on
        self.saved: msgspec.Raw | None = None  # snapshots and contexts, packed, until they change

    @property
    def ids(self) -> set[str]:
        """Event ids that are known, those of facts that wait to be put in among them."""
        if self._ids is None:  # nobody has asked since it was loaded: time passes for most that are
            self._ids = {_event_id(one) for one in self.facts.values}
        return self._ids

    @ids.setter
    def ids(self, known: set[str]) -> None:
        self._ids = known

    def append_again(self, fact: Fact) -> None:
        """Add a fact to a journal that was just loaded, its id with it."""
        self.append(fact)
        if self._ids is not None:
            self._ids.add(fact.event_id)

    def append(self, fact: Fact) -> None:
        """Add the newest fact; its id must have been put into `ids`."""
        context = (fact.session_id, fact.device, fact.location, fact.channel)
        place: int | Context | None = self.contexts.get(context)
        if place is None:
            place = self._place_of(context)
        head = (fact.time_ms, fact.event_id, fact.kind, fact.product_id, fact.category, place)
        if fact.kind in _SIMPLE:
            self.facts.append(pack(head if fact.quantity is None else (*head, fact.quantity)))
        else:
            rest = (fact.quantity, fact.order_id, fact.lines, fact.amount_cents, fact.personalization)
            self.facts.append(pack((*head, *rest) if fact.variant is None else (*head, *rest, fact.variant)))

    def _place_of(self, context: Context) -> int | Context:
        """A new context's number; the context itself where there are too many of them."""
        if len(self.contexts) >= CONTEXTS_MAX:
            return context
        self.saved = None
        number = self.contexts[context] = len(self.contexts)
        return number

    def unpacked(self, packed: list[bytes]) -> list[Fact]:
        """Facts that this journal packed, or would have packed by now."""
        contexts = list(self.contexts)
        facts = []
        for one in packed:
            time_ms, event_id, kind, product_id, category, place, *rest = unpack(one)
            context = contexts[place] if isinstance(place, int) else place
            if len(rest) > 2:
                rest[2] = tuple(tuple(line) for line in rest[2])
            facts.append(Fact(time_ms, event_id, kind, product_id, category, *context, *rest))
        return facts

    def wants_snapshot(self, now_ms: int, span_ms: int) -> bool:
        """Whether enough happened, or enough time passed, since the newest snapshot."""
        if not self.snapshots:
            return False
        newest = self.snapshots[-1]
        return (
            self.wanted
            or self.facts.end - newest.facts_end >= FACTS_PER_SNAPSHOT
            or (now_ms - newest.clock_ms >= span_ms and self.facts.end > newest.facts_end)
        )

    def take(self, clock_ms: int, packed: bytes) -> None:
        """Add a snapshot as of now."""
        self.snapshots.append(Snapshot(clock_ms, self.facts.end, self.taken, packed))
        self.taken += 1
        self.saved = None
        self.wanted = False

    def thin(self, horizon_ms: int, pinned: Sequence[int] = ()) -> bool:
        """Drop snapshots that are not needed for events after `horizon_ms`; True if older facts went with them.

        `pinned`: times from which on snapshots stay until they are that old, however many there are.
        """
        snapshots = self.snapshots
        known = len(snapshots)
        needless = 0
        while needless + 1 < len(snapshots) and snapshots[needless + 1].clock_ms < horizon_ms:
            needless += 1
        del snapshots[:needless]
        while len(snapshots) > SNAPSHOTS_MAX + len(pinned):
            end = self.facts.end
            gaps = [
                (snapshots[at + 1].facts_end - snapshots[at - 1].facts_end) / (end - snapshots[at].facts_end + 1)
                if snapshots[at].clock_ms not in pinned
                else inf
                for at in range(1, len(snapshots) - 1)
            ]
            del snapshots[1 + gaps.index(min(gaps))]
        if len(snapshots) < known:
            self.saved = None
        if not needless:
            return False
        self._drop_before(snapshots[0].facts_end)
        return True

    def _drop_before(self, index: int) -> None:
        gone = self.facts.values[: index - self.facts.first]
        if self._ids is not None:
            self._ids.difference_update(_event_id(packed) for packed in gone)
        self.facts.drop_before(index)
        if not self.facts.values:
            self.contexts.clear()
        elif len(self.contexts) >= CONTEXTS_MAX:
            self._renumber()

    def _renumber(self) -> None:
        """Make room for new contexts: those that no fact has any more go."""
        facts = self.unpacked(self.facts.values)
        end = self.facts.first
        self.facts.truncate(end)
        self.contexts.clear()
        for fact in facts:
            self.append(fact)

    def before(self, time_ms: int) -> Snapshot:
        """The newest snapshot that was taken before `time_ms`."""
        return next(s for s in reversed(self.snapshots) if s.clock_ms < time_ms)

    def cut(self, snapshot: Snapshot) -> list[Fact]:
        """Take the facts after `snapshot` out, and the snapshots after it; returns the facts."""
        self.ids  # noqa: B018  (made while the facts are there: what is cut out stays known)
        packed = self.facts.values[snapshot.facts_end - self.facts.first :]
        self.facts.truncate(snapshot.facts_end)
        self.saved = None
        while self.snapshots[-1].facts_end > snapshot.facts_end or self.snapshots[-1].clock_ms > snapshot.clock_ms:
            self.snapshots.pop()
        return self.unpacked(packed)

    def forget_facts(self) -> set[str]:
        """Drop all facts and snapshots (erasure); returns the ids, which stay known as seen."""
        self.facts.drop_before(self.facts.end)
        self.snapshots.clear()
        self.contexts.clear()
        self.saved = None
        return self.ids

    def save(self, store: ChunkStore) -> list[Any]:
        if self.saved is None:
            self.saved = part([self._save_snapshots(store), self.taken, list(self.contexts)])
        return [self.facts.saved or self.facts.save(store), self.saved]

    def _save_snapshots(self, store: ChunkStore) -> list[list[Any]]:
        """Large snapshots go to `store`, so that they do not travel with every event; the others stay inline."""
        large = {one.number: one.packed for one in self.snapshots if len(one.packed) > SNAPSHOT_INLINE_BYTES}
        for number in sorted(self.stored - large.keys()):
            store.drop_chunk(_SNAPSHOT_CHUNKS | number)
        for number in sorted(large.keys() - self.stored):
            store.put_chunk(_SNAPSHOT_CHUNKS | number, large[number])
        self.stored = set(large)
        return [[*one[:3], None if one.number in large else one.packed] for one in self.snapshots]

    def load(self, packed: list[Any], store: ChunkStore) -> None:
        facts, rest = packed
        snapshots, self.taken, contexts = rest
        self.saved = part(rest)
        self.facts.load(facts, store)
        self.stored = {number for _, _, number, inline in snapshots if inline is None}
        self.snapshots = [
            Snapshot(clock_ms, end, number, _stored(store, number) if inline is None else inline)
            for clock_ms, end, number, inline in snapshots
        ]
        self.contexts = {tuple(context): number for number, context in enumerate(contexts)}
        self._ids = None


def _stored(store: ChunkStore, number: int) -> bytes:
    packed = store.get_chunk(_SNAPSHOT_CHUNKS | number)
    if packed is None:
        raise LookupError(f"snapshot {number} is missing")
    return packed


def _event_id(packed: bytes) -> str:
    return str(unpack(packed)[1])


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Fact).decode


def pack_facts(facts: Iterable[Fact]) -> list[bytes]:
    """Facts as they wait in packed state, outside the journal."""
    return [_encode(fact) for fact in facts]


def unpack_facts(packed: Iterable[bytes]) -> list[Fact]:
    """The facts again."""
    return [_decode(one) for one in packed]
