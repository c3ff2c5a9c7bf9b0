"""One customer: the fold, the memberships it implies, and how a late event corrects both.

An event that is the next one in event order is applied at once. One that comes out of order is put aside and the
customer is repaired at the next chance (`repair`): the fold is rewound to the snapshot before the event, everything
after it applied again, and what had been published is held against what is now true. So there is one way to compute
anything, the fold in event order, and the result depends on the set of events only.

Between events time passes: `pass_time` steps through the exact milliseconds at which a rule can change its answer.
Other rules come into force in the same way, at a millisecond of their own (calendar.py).
"""

from collections.abc import Sequence
from typing import Any

from msgspec import Raw
from msgspec.structs import replace

from schemas.facts import Fact, Kind
from schemas.settings import Settings
from state.chunks import ChunkStore
from state.customer import base as packed_base
from state.customer.base import Base, Standing
from state.customer.calendar import ALWAYS_MS, Calendar, Reign
from state.customer.corrections import Cause, Turn, corrections
from state.customer.counts import NEVER_MS
from state.customer.features import Values
from state.customer.fold import KIND_NUMBERS, Fold
from state.customer.ghosts import Ghosts
from state.customer.journal import Journal, pack_facts, unpack_facts
from state.customer.publication import LEDGER_ENTRIES, ORDER_FIRST, Publication
from state.experiments.exposures import Exposures
from state.packing import pack, part, unpack
from state.rules.membership import Gone, Membership

VERSION = 1
PENDING_MAX = 1_000  # events put aside before the customer is repaired at once

ERASE = int(Kind.ERASE)  # reading a member of an enumeration takes as long as a function call


class StateVersionError(ValueError):
    """Packed state of a version that this program does not know."""


class Customer:
    """State and behaviour of one customer. Nothing here knows its id, or an engine."""

    __slots__ = (
        "after", "base", "before", "calendar", "coming", "correcting", "duplicates", "epoch", "epochs",
        "evaluated_ms", "flip_ms", "fold", "ghosts", "gone", "happened", "journal", "late", "lived_ms", "looked_up",
        "membership", "newest", "parts", "parts_told", "pending", "program", "publication", "published",
        "redo_from_ms", "revision", "said", "saved_members", "saved_published", "stood", "switch_ms", "timer_ms",
        "turns", "undo",
    )  # fmt: skip

    def __init__(self, calendar: Calendar) -> None:
        self.calendar = calendar
        self.epochs: list[Reign] = [calendar.reigns[0]]  # the rules lived under, each with when it was taken up
        self.epoch = 0  # the one in force at the fold's clock: the last one, but while a repair is under way
        self.coming: Reign | None = None
        self.switch_ms = NEVER_MS  # when it comes
        self.lived_ms = -1  # in a repair: until when the past is known
        self.looked_up = -1 if len(calendar.reigns) > 1 else calendar.revision  # the calendar's revision, at last look
        self.gone: list[Gone] = []  # memberships under rules that nobody knows any more, until others are taken up
        self.program = program = self.epochs[0].program
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
        self.base: Base | None = None  # the last whole pack, as long as applying the facts since it leads to this state
        self.before: Values = ()
        self.after: Values = program.nothing
        self.parts = 0  # truths of `rules.remainder.parts`, bit by bit, if the program watches them
        self.parts_told = 0
        self.stood = False  # whether those who know the population may hold the customer as shown
        self.said = NOT_SAID  # of the last standing: revision, as of when, and when a window changes next; not kept
        self.happened: Cause = ("time", None)  # what the last evaluation was for

    # -- events ---------------------------------------------------------------------------------------------------

    def accept(self, fact: Fact, watermark_ms: int, store: ChunkStore) -> bool:
        """Take in an event that is not too late; False if it is a duplicate."""
        journal, fold = self.journal, self.fold
        time_ms, event_id = fact.time_ms, fact.event_id
        ids = journal.ids
        if event_id in ids:
            self.duplicates += 1
            self.base = None
            return False
        if self.ghosts.hashes:
            self.base = None
            if self.ghosts.knows(fact):
                self.duplicates += 1
                return False
            if self.ghosts.covers(fact):
                self.revision += 1
                return True
        self.revision += 1
        ids.add(event_id)
        clock_ms = fold.clock_ms
        if self.pending or time_ms < clock_ms or (time_ms == self.newest[0] and event_id < self.newest[1]):
            self.pending.append(fact)
            self.base = None
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
        epochs = self.epochs
        if self.journal.thin(horizon_ms, [epoch.from_ms for epoch in epochs[1:]] if len(epochs) > 1 else ()):
            oldest_ms = self.journal.snapshots[0].clock_ms
            self.base = None
            self.fold.forget(oldest_ms, LEDGER_ENTRIES, self.publication.views_from)
            self.published = [turn for turn in self.published if turn.at_ms > oldest_ms]
            self._forget_epochs(oldest_ms)
            self.saved_published = None
        if self.ghosts.hashes:
            self.base = None
            self.ghosts.fade(horizon_ms)

    def _step(self, fact: Fact, store: ChunkStore, cause: Cause | None = None) -> None:
        """Apply the next fact in event order, and everything that happens until then by passing time."""
        fold = self.fold
        now_ms, kind = fact.time_ms, fact.kind
        if now_ms > fold.clock_ms:
            if self.flip_ms <= now_ms:
                self._catch_up(now_ms)
            fold.advance(now_ms)
        self.newest = (now_ms, fact.event_id)
        if kind == ERASE:
            self._erase(fact, store)
            cause = None
        else:
            fold.apply(fact)
            self.journal.append(fact)
            if kind >= ORDER_FIRST:
                self.publication.note(kind, fold)
        self._evaluate(now_ms, cause or (CAUSES[kind], fact.event_id))
        if fold.exposures is not None and fold.exposures.has_new:
            self._name_segments(fold.exposures)
        if kind == ERASE:
            self.undo = None  # whoever is in a segment after it, even in this millisecond, has entered it anew

    def _name_segments(self, exposures: Exposures) -> None:
        exposures.know_segments(name for name, _ in self.membership.since())

    def _erase(self, fact: Fact, store: ChunkStore) -> None:
        """Forget the customer; the ids of what was erased stay known, hashed, until nothing can arrive late."""
        now_ms = fact.time_ms
        self.base = None
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
            if self.journal.wanted:
                self._snapshot()
            self.fold.advance(now_ms)

    def _catch_up(self, now_ms: int) -> None:
        """Live through what happens before `now_ms` by passing time, and go over to the rules that are new then."""
        while self.flip_ms < now_ms:
            self._turn_of_time(self.flip_ms)
        if self.journal.wanted:
            self._snapshot()
        if self.switch_ms == now_ms:
            self._take_up()

    def _turn_of_time(self, now_ms: int) -> None:
        self.base = None
        if self.journal.wanted and now_ms > self.fold.clock_ms:
            self._snapshot()
        if now_ms == self.switch_ms:
            self._take_up()
        else:
            self.fold.advance(now_ms)
            self._evaluate(now_ms, ("time", None))

    # -- rules ----------------------------------------------------------------------------------------------------

    def renew(self) -> bool:
        """Look into the calendar; True if other rules are in force from now on, which may have changed memberships.

        To be called whenever the calendar's revision is not the one of the last look, before anything else.
        """
        self.looked_up = self.calendar.revision
        self._look_ahead(self._next(self.fold.clock_ms))
        if self.switch_ms > self.fold.clock_ms:
            return False
        while self.switch_ms <= self.fold.clock_ms:
            self._take_up()
        return True

    def _look_ahead(self, coming: Reign | None) -> None:
        self.coming = coming
        self.switch_ms = NEVER_MS if coming is None else coming.from_ms
        if self.switch_ms < self.flip_ms:
            self.flip_ms = self.switch_ms

    def _take_up(self) -> None:
        """Go over to the rules that come; from their first millisecond on, events of which count under them."""
        coming, fold, membership = self.coming, self.fold, self.membership
        self.base = None
        if coming is None:
            raise RuntimeError("no rules are coming")
        _, now_ms, self.program = coming
        back = self.gone
        if now_ms == self.evaluated_ms and self.undo:
            back = [Gone(name, since_ms) for name, _, _, since_ms in self._take_back(now_ms, RULES)]
        self.before = self.after = self.program.read(fold, fold.clock_ms)
        gone = membership.migrate(self.program.rules, back)
        self.saved_members = None
        self.gone = []
        unknown = self.epochs[self.epoch].number == UNKNOWN
        self._remember(coming)
        self._look_ahead(self._next(now_ms))
        fold.advance(now_ms)
        self._evaluate(now_ms, RULES, [(name, False, now_ms, since_ms) for name, since_ms in gone])
        if unknown:
            self.undo = None  # what this millisecond's events had meant cannot be undone: whatever comes adds to it

    def _next(self, now_ms: int) -> Reign | None:
        """What comes next: in a repair, first of all what was taken up before, and when."""
        if self.epoch + 1 < len(self.epochs):
            return self.epochs[self.epoch + 1]
        return self.calendar.after(self.epochs[-1].number, max(now_ms, self.lived_ms))

    def _remember(self, taken_up: Reign) -> None:
        """Add to the history, unless a repair lives through it again."""
        self.journal.wanted = self.journal.facts.end > 0  # no repair has to know the rules before, once they are old
        self.epoch += 1
        if self.epoch < len(self.epochs):
            return
        if self.epoch > 1 and self.epochs[-1].from_ms == taken_up.from_ms:  # of one millisecond, the last ones count
            self.epochs.pop()
            self.epoch -= 1
        self.epochs.append(taken_up)
        self.revision += 1  # what was written of this moment before is not true any more

    def _forget_epochs(self, oldest_ms: int) -> None:
        """Let go of the history before the oldest snapshot."""
        while len(self.epochs) > 1 and self.epochs[1].from_ms <= oldest_ms:
            del self.epochs[0]
            self.epoch -= 1

    def _epoch_of(self, clock_ms: int, version: str | None) -> int:
        """Which rules a snapshot of `clock_ms` was taken under."""
        at = max((at for at, epoch in enumerate(self.epochs) if epoch.from_ms <= clock_ms), default=0)
        older = at > 0 and self.epochs[at].from_ms == clock_ms and version is not None
        if older and self.epochs[at].program.rules.version != version:  # before others were taken up at its very clock
            return at - 1
        return at

    def older_segments(self) -> list[str]:
        """Segments of rules before the ones in force, which the customer may have been shown in."""
        return [name for epoch in self.epochs[:-1] for name in epoch.program.rules.names]

    def said_ms(self, now_ms: int) -> int:
        """As of when a standing was given out that has what is so now, but for what ages or fades; -1: none was."""
        revision, said_ms, changes_ms = self.said
        return said_ms if revision == self.revision and now_ms < changes_ms else -1

    @property
    def is_shown(self) -> bool:
        """Whether there is anything to show of the customer: seen, not erased, and with consent."""
        return not self.fold.denied and self.fold.last_seen_ms is not None

    # -- memberships ----------------------------------------------------------------------------------------------

    def _evaluate(self, now_ms: int, cause: Cause, gone: Sequence[Any] = ()) -> None:
        """Work out the memberships as of `now_ms`, once more if this millisecond was looked at before.

        `gone`: changes out of segments that the rules no longer have, with names instead of bits.
        """
        fold, membership = self.fold, self.membership
        self.happened = cause
        if now_ms != self.evaluated_ms:
            self.evaluated_ms = now_ms
            self.undo = None
            self.before = self.after
        elif self.undo:
            gone = self._take_back(now_ms, cause)
        self.after = after = self.program.read(fold, now_ms)
        if not self.is_shown:
            changes = membership.end_all(now_ms)
            self.flip_ms = self.switch_ms
            self.parts = 0
        else:
            program = self.program
            if program.truths is None:
                changes = membership.evaluate(after, now_ms)
                mask = membership.mask
            else:
                changes = membership.evaluate(after[: len(program.rules.reads)], now_ms)
                mask = program.truths(after, membership.mask)
                self.parts = mask >> len(program.rules.names)
            self.flip_ms = program.next_flip(fold, now_ms, after, mask)
            forced_ms = membership.next_forced_ms()
            if forced_ms is not None and forced_ms < self.flip_ms:
                self.flip_ms = forced_ms
            if self.switch_ms < self.flip_ms:
                self.flip_ms = self.switch_ms
        if changes or gone:
            self.undo = [*gone, *changes] if gone else changes
            self.saved_members = None
            names, reign = self.program.rules.names, self.epochs[self.epoch]
            self.turns += [Turn(name, False, at_ms, since, cause=RULES, reign=reign) for name, _, at_ms, since in gone]
            self.turns += [
                Turn(names[bit], entered, at_ms, since_ms, before=self.before, after=after, cause=cause, reign=reign)
                for bit, entered, at_ms, since_ms in changes
            ]

    def _watch(self) -> None:
        """Work out the parts of a customer that was read: as of its last evaluation, since which nothing has turned."""
        truths = self.program.truths
        if truths is not None and self.is_shown:
            self.parts = truths(self.after, self.membership.mask) >> len(self.program.rules.names)
        else:
            self.parts = 0

    def _take_back(self, now_ms: int, cause: Cause) -> list[Any]:
        """Undo what the last evaluation, of this millisecond, changed; returns what no evaluation can change again."""
        undo = self.undo or ()
        self.membership.take_back([change for change in undo if not isinstance(change[0], str)])
        self.saved_members = None
        self.undo = None
        self.redo_from_ms = min(self.redo_from_ms, now_ms)
        self.correcting = cause
        self.turns = [turn for turn in self.turns if turn.at_ms != now_ms or turn.cause[0] == "erasure"]
        return [change for change in undo if isinstance(change[0], str)]

    @property
    def has_news(self) -> bool:
        """Whether `say` has something to do, or the items have to be told of an erasure."""
        return bool(self.turns) or self.redo_from_ms != NEVER_MS or bool(self.ghosts.hashes) or self.publication.erased

    def say(self) -> list[Turn]:
        """The turns to publish now, those found since the last call, as corrections where something was untrue."""
        if not self.turns and self.redo_from_ms == NEVER_MS:
            if self.ghosts.hashes:
                self._forget_erased()
            return []
        self.base = None
        touched = [turn for turn in self.published if turn.at_ms >= self.redo_from_ms]
        kept = self.published[: len(self.published) - len(touched)]
        said, stand = self.turns, self.turns
        if touched:
            by_rules = self.epochs[-1] if self.correcting == RULES else None
            said, stand = corrections(touched, self.turns, self.correcting, by_rules)
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
            self.base = None
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
        self.base = None
        self.revision += 1  # what was written of this moment before was not true
        self.publication.before_rewind(self.fold)
        snapshot = self.journal.before(late[0].time_ms)
        facts = self.journal.cut(snapshot)
        arrived = {fact.event_id for fact in late}
        facts = sorted([*facts, *late], key=lambda fact: (fact.time_ms, fact.event_id))
        self.lived_ms = clock_ms
        self._restore(snapshot.packed, snapshot.clock_ms)
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
        self.lived_ms = -1
        self.saved_members = None
        self.correcting = ("late-event", newest_late)
        self.turns = [
            replace(turn, cause=self.correcting) if turn.cause[1] is None and turn.cause[0] != "erasure" else turn
            for turn in self.turns
        ]

    def _snapshot(self) -> None:
        self.base = None
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

    def _restore(self, packed: bytes, clock_ms: int) -> None:
        """Stand again as of a snapshot, under the rules that were in force then."""
        fold, membership, self.undo, self.evaluated_ms, self.flip_ms = unpack(packed) if packed else _NOTHING
        self.epoch = self._epoch_of(clock_ms, Membership.packed_version(membership) if packed else None)
        self.program = self.epochs[self.epoch].program
        self.membership = Membership(self.program.rules)
        self.gone = []
        self.fold.rewind(fold)
        if packed:
            self._take_members(membership)
        self._look_ahead(self._next(clock_ms))
        self.journal.wanted = False
        self.fold.advance(self.fold.clock_ms)
        self.before = self.after = self.program.read(self.fold, self.fold.clock_ms)
        self._watch()

    def _take_members(self, packed: Sequence[Any]) -> None:
        """Take up packed memberships; where their rules are forgotten, bits that stand for segments mean nothing."""
        self.membership, self.gone = Membership.from_packed(self.program.rules, packed)
        if Membership.packed_version(packed) != self.program.rules.version:
            self.undo = None

    # -- packing --------------------------------------------------------------------------------------------------

    def pack(self, store: ChunkStore) -> bytes:
        """The state as versioned MessagePack; chunks that are full go to `store`.

        After the next fact in event order, and after time that passed, if they turned nothing: the last whole pack,
        the facts since it, and what else has changed.
        """
        journal, base = self.journal, self.base
        end = journal.facts.end
        if base is not None and base.is_before(end) and journal.saved is not None:
            publication = self.publication
            standing = Standing(
                self.fold.clock_ms, publication.profile_ms, publication.profile_shown, *publication.viewed
            )
            return base.followed_by(end, journal.facts.values[-1] if journal.facts.values else b"", standing)
        whole = self._pack_whole(store)
        self.base = Base(whole, end)
        return whole

    def _pack_whole(self, store: ChunkStore) -> bytes:
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
            self._packed_epochs() if len(self.epochs) > 1 else self.epochs[0].number,
        ])  # fmt: skip

    def _packed_epochs(self) -> list[Any]:
        epochs = [(number, from_ms, program.rules.version) for number, from_ms, program in self.epochs]
        return [self.journal.wanted, *epochs]

    @classmethod
    def unpack(cls, calendar: Calendar, packed: bytes, store: ChunkStore) -> "Customer":
        """The customer again; `renew` has to follow.

        Raises:
            StateVersionError: a newer program wrote it.
        """
        parts = unpack(packed)
        if parts[0] in (packed_base.VERSION, packed_base.WITHOUT_STANDING):
            whole, facts, standing = packed_base.split(parts)
            customer = cls._unpack_whole(calendar, unpack(whole), store)
            customer._apply_again(customer.journal.unpacked(facts), standing)
            customer.base = Base.again(whole, facts, customer.journal.facts.end)
            return customer
        if parts[0] != VERSION:
            raise StateVersionError(
                f"customer state of version {parts[0]}; this program reads versions {VERSION} to {packed_base.VERSION}"
            )
        customer = cls._unpack_whole(calendar, parts, store)
        customer.base = Base(packed, customer.journal.facts.end)
        return customer

    @classmethod
    def _unpack_whole(cls, calendar: Calendar, parts: list[Any], store: ChunkStore) -> "Customer":
        (
            _, fold, membership, journal, ghosts, publication, pending, published, undo, evaluated_ms, flip_ms,
            newest, revision, duplicates, late, epochs,
        ) = parts  # fmt: skip
        customer = cls(calendar)
        customer.fold.load(fold, store)
        customer.journal.load(journal, store)
        customer._take_epochs(epochs, Membership.packed_version(membership))
        customer.ghosts.load(ghosts, store)
        customer.publication = Publication.unpacked(publication)
        if pending:
            customer.pending = unpack_facts(pending)
            customer.journal.ids.update(fact.event_id for fact in customer.pending)
        customer.published = [
            Turn(segment, entered, at_ms, at_ms - stayed_ms, identity.hex(), reign=customer._reign_at(at_ms))
            for segment, entered, at_ms, stayed_ms, identity in published
        ]
        customer.undo, customer.evaluated_ms, customer.flip_ms = undo, evaluated_ms, flip_ms
        customer._take_members(membership)
        customer.newest = (newest[0], newest[1])
        customer.revision, customer.duplicates, customer.late = revision, duplicates, late
        customer.before = customer.after = customer.program.read(customer.fold, customer.fold.clock_ms)
        customer._watch()
        customer.parts_told, customer.stood = customer.parts, customer.is_shown  # nobody is saved before that is said
        return customer

    def _apply_again(self, facts: Sequence[Fact], standing: Standing | None) -> None:
        """Apply facts that turned nothing, so that only the last moment has to be evaluated."""
        fold, journal = self.fold, self.journal
        for fact in facts:
            if fact.time_ms > fold.clock_ms:
                fold.advance(fact.time_ms)
            fold.apply(fact)
            journal.append_again(fact)
            if fact.kind >= ORDER_FIRST:
                self.publication.note(fact.kind, fold)
            self.newest = (fact.time_ms, fact.event_id)
        self.revision += len(facts)
        if fold.exposures is not None and fold.exposures.has_new:
            self._name_segments(fold.exposures)
        if facts and self.epochs[self.epoch].number != UNKNOWN:
            self._evaluate(fold.clock_ms, RULES)
            self.before = self.after
            self.parts_told, self.stood = self.parts, self.is_shown
        if standing is not None:
            if standing.clock_ms > fold.clock_ms:
                fold.advance(standing.clock_ms)
            publication = self.publication
            publication.profile_ms, publication.profile_shown = standing.profile_ms, standing.profile_shown
            publication.viewed = standing.viewed_from, standing.viewed_until

    def _take_epochs(self, packed: Any, version: str) -> None:
        """Take up the history of rules. Of forgotten rules the oldest that are known stand in."""
        self.looked_up = -1
        rows = [(packed, ALWAYS_MS, version)] if isinstance(packed, int) else packed[1:]
        self.journal.wanted = not isinstance(packed, int) and packed[0]
        known, oldest = self.calendar.program, self.calendar.reigns[0].program
        self.epochs = [Reign(number, from_ms, known(version) or oldest) for number, from_ms, version in rows]
        if known(version) is None:  # then whatever the calendar has is newer
            self.epochs[-1] = self.epochs[-1]._replace(number=UNKNOWN)
        self.epoch = len(self.epochs) - 1
        self.program = self.epochs[-1].program

    def _reign_at(self, at_ms: int) -> Reign:
        """The rules that were in force at a time."""
        return next((epoch for epoch in reversed(self.epochs) if epoch.from_ms <= at_ms), self.epochs[0])


RULES: Cause = ("rules", None)
UNKNOWN = -1  # the number of rules whose text nobody has any more

NOT_SAID = (-1, -1, -1)

NOTHING_KNOWN = b""
"""The snapshot of a customer of whom nothing is known."""

CAUSES = ["event"] * KIND_NUMBERS
"""By kind of event, what a change that it makes is put down to."""
CAUSES[Kind.ORDER_REFUNDED] = CAUSES[Kind.ORDER_CANCELLED] = "refund"
CAUSES[Kind.CONSENT], CAUSES[Kind.ERASE] = "consent", "erasure"

_NOTHING: list[Any] = [unpack(pack(Fold(Settings()).snapshot())), [], None, -1, NEVER_MS]
