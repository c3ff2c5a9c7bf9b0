"""One customer: the fold, the memberships it implies, and how a late event corrects both.

An event that is the next one in event order is applied at once. One that comes out of order is put aside and the
customer is repaired at the next chance (`repair`): the fold is rewound to the snapshot before the event, everything
after it applied again, and what had been published is held against what is now true. So there is one way to compute
anything, the fold in event order, and the result depends on the set of events only.

Between events time passes: `pass_time` steps through the exact milliseconds at which a rule can change its answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import Raw
from msgspec.structs import replace

from schemas.facts import Fact, Kind
from schemas.settings import Settings
from state.chunks import ChunkStore
from state.customer.corrections import Cause, Turn, corrections
from state.customer.counts import NEVER_MS
from state.customer.features import Reader, Values, reader
from state.customer.flips import NextFlip, next_flip_of
from state.customer.fold import KIND_NUMBERS, Fold
from state.customer.ghosts import Ghosts
from state.customer.journal import Journal, pack_facts, unpack_facts
from state.customer.publication import LEDGER_ENTRIES, Publication
from state.packing import pack, part, unpack
from state.rules.membership import Membership
from state.rules.ruleset import RuleSet

VERSION = 1
PENDING_MAX = 1_000  # events put aside before the customer is repaired at once

ORDER_FIRST, ORDER_LAST = int(Kind.ORDER_COMPLETED), int(Kind.ORDER_CANCELLED)  # these three change what was bought
ERASE = int(Kind.ERASE)  # reading a member of an enumeration takes as long as a function call


class StateVersionError(ValueError):
    """Packed state of a version that this program does not know."""


@dataclass(frozen=True, slots=True)
class Program:
    """What all customers of an operator share: settings, rules, and what was compiled from them."""

    settings: Settings
    rules: RuleSet
    read: Reader
    next_flip: NextFlip

    @classmethod
    def of(cls, settings: Settings, rules: RuleSet) -> "Program":
        return cls(settings, rules, reader(rules.reads), next_flip_of(rules.bearings, rules.reads, rules.entries))


class Customer:
    """State and behaviour of one customer. Nothing here knows its id, or an engine."""

    __slots__ = (
        "after", "before", "correcting", "duplicates", "evaluated_ms", "flip_ms", "fold", "ghosts", "journal", "late",
        "membership", "newest", "pending", "program", "publication", "published", "redo_from_ms", "revision",
        "saved_members", "saved_published", "timer_ms", "turns", "undo",
    )  # fmt: skip

    def __init__(self, program: Program) -> None:
        self.program = program
        self.fold = Fold(program.settings)
        self.membership = Membership(program.rules)
        self.journal = Journal()
        self.journal.take(-1, NOTHING_KNOWN)
        self.ghosts = Ghosts()
        self.publication = Publication()
        self.pending: list[Fact] = []  # out of order, waiting for the repair
        self.published: list[Turn] = []  # turns that a late event could still make untrue
        self.turns: list[Turn] = []  # turns found since the last `say`
        self.redo_from_ms = NEVER_MS  # published turns from here on are held against `turns`
        self.correcting: Cause = ("time", None)  # what made published turns untrue
        self.undo: Sequence[Any] | None = None  # what the evaluation at `evaluated_ms` changed
        self.evaluated_ms = -1
        self.flip_ms = NEVER_MS  # no rule changes its answer before this without an event
        self.newest: tuple[int, str] = (-1, "")  # newest fact, in event order
        self.revision = 0  # accepted facts; moves forward only
        self.duplicates = self.late = 0
        self.timer_ms = NEVER_MS  # earliest timer known to be registered; not kept: one too many does no harm
        self.saved_members: tuple[int | None, Raw] | None = None  # packed, until they change
        self.saved_published: Raw | None = None
        self.before: Values = ()
        self.after: Values = program.read(self.fold, 0)

    # -- events ---------------------------------------------------------------------------------------------------

    def accept(self, fact: Fact, watermark_ms: int, store: ChunkStore) -> bool:
        """Take in an event that is not too late; False if it is a duplicate."""
        journal, fold = self.journal, self.fold
        time_ms, event_id = fact.time_ms, fact.event_id
        if event_id in journal.ids:
            self.duplicates += 1
            return False
        if self.ghosts.hashes:
            if self.ghosts.knows(fact):
                self.duplicates += 1
                return False
            if self.ghosts.covers(fact):
                self.revision += 1
                return True
        self.revision += 1
        journal.ids.add(event_id)
        clock_ms = fold.clock_ms
        if self.pending or time_ms < clock_ms or (time_ms == self.newest[0] and event_id < self.newest[1]):
            self.pending.append(fact)
            if len(self.pending) >= PENDING_MAX:
                self.repair(store)
            return True
        if time_ms > clock_ms and journal.wants_snapshot(time_ms, self.program.settings.allowed_lateness_ms):
            self._snapshot()
            self.settle(watermark_ms)
        self._step(fact, store)
        return True

    def settle(self, watermark_ms: int) -> None:
        """Let go of what no event can reach any more that is not too late."""
        horizon_ms = watermark_ms - self.program.settings.allowed_lateness_ms
        if self.journal.thin(horizon_ms):
            oldest_ms = self.journal.snapshots[0].clock_ms
            self.fold.forget(oldest_ms, LEDGER_ENTRIES, self.publication.views_from)
            self.published = [turn for turn in self.published if turn.at_ms > oldest_ms]
            self.saved_published = None
        if self.ghosts.hashes:
            self.ghosts.fade(horizon_ms)

    def _step(self, fact: Fact, store: ChunkStore, cause: Cause | None = None) -> None:
        """Apply the next fact in event order, and everything that happens until then by passing time."""
        fold = self.fold
        now_ms, kind = fact.time_ms, fact.kind
        if now_ms > fold.clock_ms:
            while self.flip_ms < now_ms:
                self._turn_of_time(self.flip_ms)
            fold.advance(now_ms)
        self.newest = (now_ms, fact.event_id)
        if kind == ERASE:
            self._erase(fact, store)
            cause = None
        else:
            fold.apply(fact)
            self.journal.append(fact)
            if ORDER_FIRST <= kind <= ORDER_LAST:
                self.publication.bought_changed = True
        self._evaluate(now_ms, cause or (CAUSES[kind], fact.event_id))
        if kind == ERASE:
            self.undo = None  # whoever is in a segment after it, even in this millisecond, has entered it anew

    def _erase(self, fact: Fact, store: ChunkStore) -> None:
        """Forget the customer; the ids of what was erased stay known, hashed, until nothing can arrive late."""
        now_ms = fact.time_ms
        self.fold.applied += 1
        self.publication.before_rewind(self.fold)
        self.fold.erase(store)
        self.fold.clock_ms = now_ms
        later = {one.event_id for one in self.pending if (one.time_ms, one.event_id) > (now_ms, fact.event_id)}
        self.ghosts.add(fact, self.journal.forget_facts() - later, self.fold.applied, self.fold.suppressed)
        self.fold.applied = self.fold.suppressed = self.fold.orphan_refunds = 0
        self.journal.ids = later
        self.journal.take(now_ms - 1, NOTHING_KNOWN)
        self.publication.erased = True

    # -- time -----------------------------------------------------------------------------------------------------

    def pass_time(self, now_ms: int) -> None:
        """Live through all that happens by passing time alone up to and at `now_ms`."""
        while self.flip_ms <= now_ms:
            self._turn_of_time(self.flip_ms)
        if now_ms > self.fold.clock_ms:
            self.fold.advance(now_ms)

    def _turn_of_time(self, now_ms: int) -> None:
        self.fold.advance(now_ms)
        self._evaluate(now_ms, ("time", None))

    # -- memberships ----------------------------------------------------------------------------------------------

    def _evaluate(self, now_ms: int, cause: Cause) -> None:
        """Work out the memberships as of `now_ms`, once more if this millisecond was looked at before."""
        fold, membership = self.fold, self.membership
        if now_ms != self.evaluated_ms:
            self.evaluated_ms = now_ms
            self.undo = None
            self.before = self.after
        elif self.undo:
            membership.take_back(self.undo)
            self.saved_members = None
            self.undo = None
            self.redo_from_ms = min(self.redo_from_ms, now_ms)
            self.correcting = cause
            self.turns = [turn for turn in self.turns if turn.at_ms != now_ms or turn.cause[0] == "erasure"]
        self.after = after = self.program.read(fold, now_ms)
        if fold.denied or fold.last_seen_ms is None:
            changes = membership.end_all(now_ms)
            self.flip_ms = NEVER_MS
        else:
            changes = membership.evaluate(after, now_ms)
            self.flip_ms = self.program.next_flip(fold, now_ms, after, membership.mask)
            forced_ms = membership.next_forced_ms()
            if forced_ms is not None and forced_ms < self.flip_ms:
                self.flip_ms = forced_ms
        if changes:
            self.undo = changes
            self.saved_members = None
            names = self.program.rules.names
            self.turns += [
                Turn(names[bit], entered, at_ms, since_ms, before=self.before, after=after, cause=cause)
                for bit, entered, at_ms, since_ms in changes
            ]

    def say(self) -> list[Turn]:
        """The turns to publish now, those found since the last call, as corrections where something was untrue."""
        if not self.turns and self.redo_from_ms == NEVER_MS:
            if self.ghosts.hashes:
                self._forget_erased()
            return []
        touched = [turn for turn in self.published if turn.at_ms >= self.redo_from_ms]
        kept = self.published[: len(self.published) - len(touched)]
        said, stand = (self.turns, self.turns) if not touched else corrections(touched, self.turns, self.correcting)
        self.turns = []
        self.redo_from_ms = NEVER_MS
        self.published = [*kept, *stand]
        self.saved_published = None
        if self.ghosts.hashes:
            self._forget_erased()
        return said

    def _forget_erased(self) -> None:
        """What was published of before an erasure, and the leaving at it, nobody can correct any more."""
        since = (self.ghosts.erased[0], True)
        kept = [turn for turn in self.published if (turn.at_ms, turn.entered) >= since]
        if len(kept) < len(self.published):
            self.published = kept
            self.saved_published = None

    def publish_as(self, turn: Turn, change_id: str) -> None:
        """Remember under which id a turn that `say` returned was published."""
        self.saved_published = None
        for at, known in enumerate(self.published):
            if known is turn:
                self.published[at] = replace(turn, change_id=change_id, before=(), after=())

    # -- repair ---------------------------------------------------------------------------------------------------

    def repair(self, store: ChunkStore) -> None:
        """Put the events that came out of order into their places and live through everything after them again."""
        late = sorted(self.pending, key=lambda fact: (fact.time_ms, fact.event_id))
        self.pending = []
        if self.ghosts.hashes:
            late = [fact for fact in late if not self.ghosts.covers(fact)]
        if not late:
            return
        clock_ms = self.fold.clock_ms
        self.revision += 1  # what was written of this moment before was not true
        self.publication.before_rewind(self.fold)
        snapshot = self.journal.before(late[0].time_ms)
        facts = self.journal.cut(snapshot)
        arrived = {fact.event_id for fact in late}
        facts = sorted([*facts, *late], key=lambda fact: (fact.time_ms, fact.event_id))
        self._restore(snapshot.packed)
        self.turns = []
        self.redo_from_ms = snapshot.clock_ms + 1
        self.pending = facts  # so that an erasure among them knows what comes after it
        newest_late = late[0].event_id
        lateness_ms = self.program.settings.allowed_lateness_ms
        for fact in facts:
            newest_late = fact.event_id if fact.event_id in arrived else newest_late
            if fact.time_ms > self.fold.clock_ms and self.journal.wants_snapshot(fact.time_ms, lateness_ms):
                self._snapshot()
            if not (self.ghosts.hashes and self.ghosts.covers(fact)):
                self._step(fact, store, ("late-event", newest_late))
        self.pending = []
        self.pass_time(clock_ms)
        self.saved_members = None
        self.correcting = ("late-event", newest_late)
        self.turns = [replace(turn, cause=self.correcting) if turn.cause[0] == "time" else turn for turn in self.turns]

    def _snapshot(self) -> None:
        self.journal.take(self.fold.clock_ms, self._snapshot_packed())

    def _snapshot_packed(self) -> bytes:
        parts = [
            self.fold.snapshot(),
            self.membership.to_packed(),
            self.undo,
            self.evaluated_ms,
            self.flip_ms,
        ]
        return pack(parts)

    def _restore(self, packed: bytes) -> None:
        if packed:
            fold, membership, self.undo, self.evaluated_ms, self.flip_ms = unpack(packed)
            self.fold.rewind(fold)
            self.membership, _ = Membership.from_packed(self.program.rules, membership)
        else:
            self.fold.rewind(_EMPTY_FOLD)
            self.membership = Membership(self.program.rules)
            self.undo, self.evaluated_ms, self.flip_ms = None, -1, NEVER_MS
        self.fold.advance(self.fold.clock_ms)
        self.before = self.after = self.program.read(self.fold, self.fold.clock_ms)

    # -- packing --------------------------------------------------------------------------------------------------

    def pack(self, store: ChunkStore) -> bytes:
        """The whole state as versioned MessagePack; chunks that are full go to `store`."""
        forced_ms = self.membership.next_forced_ms()
        if self.saved_members is None or self.saved_members[0] != forced_ms:
            self.saved_members = forced_ms, part(self.membership.to_packed())
        if self.saved_published is None:
            self.saved_published = part(
                [
                    (t.segment, t.entered, t.at_ms, t.at_ms - t.since_ms, bytes.fromhex(t.change_id))
                    for t in self.published
                ]
            )
        return pack([
            VERSION, self.fold.save(store), self.saved_members[1], self.journal.save(store), self.ghosts.save(store),
            self.publication.packed(), pack_facts(self.pending) if self.pending else (), self.saved_published,
            self.undo, self.evaluated_ms, self.flip_ms, self.newest, self.revision, self.duplicates, self.late,
        ])  # fmt: skip

    @classmethod
    def unpack(cls, program: Program, packed: bytes, store: ChunkStore) -> "Customer":
        """The customer again.

        Raises:
            StateVersionError: a newer program wrote it.
        """
        parts = unpack(packed)
        if parts[0] != VERSION:
            raise StateVersionError(f"customer state of version {parts[0]}; this program reads version {VERSION}")
        (
            _, fold, membership, journal, ghosts, publication, pending, published, undo, evaluated_ms, flip_ms,
            newest, revision, duplicates, late,
        ) = parts  # fmt: skip
        customer = cls(program)
        customer.fold.load(fold, store)
        customer.membership, _ = Membership.from_packed(program.rules, membership)
        customer.journal.load(journal, store)
        customer.ghosts.load(ghosts, store)
        customer.publication = Publication.unpacked(publication)
        customer.pending = unpack_facts(pending)
        customer.journal.ids.update(fact.event_id for fact in customer.pending)
        customer.published = [
            Turn(segment, entered, at_ms, at_ms - stayed_ms, identity.hex())
            for segment, entered, at_ms, stayed_ms, identity in published
        ]
        customer.undo, customer.evaluated_ms, customer.flip_ms = undo, evaluated_ms, flip_ms
        customer.newest = (newest[0], newest[1])
        customer.revision, customer.duplicates, customer.late = revision, duplicates, late
        customer.before = customer.after = program.read(customer.fold, customer.fold.clock_ms)
        return customer


NOTHING_KNOWN = b""
"""The snapshot of a customer of whom nothing is known."""
CAUSES = ["event"] * KIND_NUMBERS
"""By kind of event, what a change that it makes is put down to."""
CAUSES[Kind.ORDER_REFUNDED] = CAUSES[Kind.ORDER_CANCELLED] = "refund"
CAUSES[Kind.CONSENT], CAUSES[Kind.ERASE] = "consent", "erasure"

_EMPTY_FOLD: list[Any] = unpack(pack(Fold(Settings()).snapshot()))
