"""The customer operator's logic: bytes in, outputs out. One instance serves all customers of a subtask.

Follow one event: `on_event` decodes it, finds the customer (in the cache, else in the store), lets it `accept` the
fact, says what turned, publishes what is due, saves the packed state, and asks for a timer if an earlier one is needed.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

from schemas.decode import Decoder, wall_clock_ms
from schemas.rejects import Reason, Rejected, rejected_from_topic, rejected_record
from schemas.settings import Settings
from schemas.timestamps import format_ms
from state.channels import Channel, Output
from state.chunks import ChunkStore
from state.customer import outputs
from state.customer.book import Book, View, check_control
from state.customer.counts import NEVER_MS
from state.customer.customer import Customer
from state.customer.features import FEATURE_NAMES, read_all
from state.customer.promptness import Promptness
from state.customer.publication import ORDER_FIRST, ORDER_LAST, Publication
from state.generations import Generations
from state.population.sight import Sight
from state.rules.ruleset import RuleSet
from state.rules.tree import Asked
from state.similar.settings import SimilarSettings
from state.tally import CustomerTally
from state.versions import version_at

PLACE_END = b"\x1f"  # a payload is place, this byte, and the raw event
REFUSED = b"\x1e"  # in a place: a reader's reason and detail follow, each after this byte, and the size if raw is cut
Step = tuple[int | None, Iterable[Output]]


class KeyedStore(ChunkStore, Protocol):
    """State of the current customer: one packed value, and the sealed chunks of the few who need them."""

    def load(self) -> bytes | None: ...

    def save(self, packed: bytes) -> None: ...

    def clear(self) -> None: ...


class CustomerLogic:
    """Settings shared by all customers, and a bounded cache of unpacked ones (always written through)."""

    def __init__(
        self,
        settings: Settings,
        rules: RuleSet,
        similar: SimilarSettings,
        *,
        as_of_ms: int | None = None,
        cached_customers: int = 20_000,
        now_ms: Callable[[], int] | None = None,
        watching: bool = False,
    ) -> None:
        """`as_of_ms`: the end of a bounded run, beyond which time does not pass; None for a live job.

        `watching`: for rules that ask about the population: standings are given out, too. In a bounded run, as in a
        live job, they come when what they say is so.
        """
        self.settings = settings
        self._watching = watching
        self.book = Book(settings, rules, watching=watching)
        self.calendar = self.book.calendar
        self.similar = similar
        self.as_of_ms = as_of_ms
        self._live = as_of_ms is None
        self._publications = self.book.publications
        self.tally = CustomerTally(rules.names)
        self._now_ms = now_ms or wall_clock_ms
        self._use(settings)
        self.news_ms: int | None = None
        """Of when is what the last call has found new about its customer: a fact, or other rules. None: nothing."""
        self._cache: Generations[Customer] = Generations(cached_customers)
        self._at_hand = Customer(self.calendar)
        """The one that was asked for last, cached or not."""
        self._at_hand_of: str | None = None

    def on_event(self, key: str, payload: bytes, watermark_ms: int, store: KeyedStore) -> Step:
        """Take in one event of the customer `key`."""
        place, _, raw = payload.partition(PLACE_END)
        self.news_ms = None
        try:
            if REFUSED in place:
                return None, [self._refused(key, place, raw)]
            subject, fact = self.decoder.decode(raw)
            if subject != key and self._live:
                raise Rejected(Reason.KEY_MISMATCH, "the engine could not find the same subject in it as the decoder")
        except Rejected as rejected:
            self.tally.reject(rejected.reason)
            return None, [self._rejected(key, rejected.reason, rejected.detail, place, raw)]
        customer, tally = self._customer(key, store), self.tally
        said: list[Output] = []
        if customer.looked_up != self.calendar.revision and self._renewed(customer):
            self.news_ms = watermark_ms
            self._speak(key, customer, said, stands=True, renewed=True)
        # a restarted job has no watermark for a moment: then what the customer has let go of says what is too late
        # (of one who was erased, the ghosts know what to do with what lies before it)
        if fact.time_ms < watermark_ms - self.settings.allowed_lateness_ms or (
            watermark_ms < 0 and fact.time_ms <= customer.journal.snapshots[0].clock_ms and not customer.ghosts.hashes
        ):
            customer.late += 1
            customer.base = None
            tally.late += 1
            store.save(customer.pack(store))
            if self._live:
                said.append(self._told_late(key, fact.time_ms, place, raw))
            return None, said
        suppressed = customer.fold.suppressed
        if customer.accept(fact, watermark_ms, store):
            self.news_ms = fact.time_ms
            if customer.fold.suppressed > suppressed:
                tally.suppressed += 1
            else:
                tally.applied += 1
            publication, clock_ms = customer.publication, customer.fold.clock_ms
            if publication.profile_ms >= clock_ms:  # written as of this very millisecond, before this event was known
                publication.profile_ms = clock_ms - 1
            if self._live or self._watching or customer.has_news:
                stands = ORDER_FIRST <= fact.kind <= ORDER_LAST
                self._speak(key, customer, said, stands=stands, known_ms=watermark_ms + 1, came_ms=fact.time_ms)
        else:
            tally.duplicate += 1
        wake_ms = None
        if self._live or self._watching or customer.pending:
            wake_ms = self._wake_ms(customer, watermark_ms, watermark_ms)
        store.save(customer.pack(store))
        return wake_ms, said

    def on_timer(self, key: str, time_ms: int, watermark_ms: int, store: KeyedStore) -> Step:
        """Let time pass for the customer `key`, or, after the as-of time of a bounded run, close the books."""
        customer = self._customer(key, store, comes=False)
        publishes = time_ms in self._publications.times_ms
        if publishes:
            self._publications.reached(time_ms)
        ends = self.as_of_ms is not None and time_ms > self.as_of_ms
        if not ends and time_ms >= customer.timer_ms:
            customer.timer_ms = NEVER_MS
        said: list[Output] = []
        renewed = customer.looked_up != self.calendar.revision and self._renewed(customer)
        self.news_ms, reign = time_ms if renewed else None, customer.epochs[-1]
        repaired = bool(customer.pending)
        if repaired:
            if renewed:  # what the rules change is theirs, before late events change it again
                self._speak(key, customer, said, stands=True, renewed=True)
            customer.repair(store)
        elif not (ends or publishes or renewed) and time_ms < (due_ms := self._due_ms(customer, time_ms)):
            return self._timer_ms(customer, due_ms), ()  # what it was set for has moved on since
        now_ms = self.as_of_ms if ends and self.as_of_ms is not None else time_ms
        if customer.fold.clock_ms > 0:
            customer.pass_time(max(now_ms, customer.fold.clock_ms))
        if customer.epochs[-1] is not reign:  # other rules came into force while time passed
            self.news_ms = time_ms
        if ends:
            self._close(key, customer, said)
            if repaired:  # what it let go of is gone from the store, and what is left there must not ask for it
                store.save(customer.pack(store))
            return None, said
        anew = self.news_ms is not None
        self._speak(key, customer, said, urgent=True, closing=publishes, stands=repaired or anew, renewed=anew)
        customer.settle(watermark_ms)
        wake_ms = self._wake_ms(customer, watermark_ms, time_ms)
        store.save(customer.pack(store))
        return wake_ms, said

    def sight(self, key: str, time_ms: int, store: KeyedStore) -> Sight:
        """The customer `key` as of a time up to which `on_timer` has let them live; nothing is changed by it."""
        customer = self._at_hand if key == self._at_hand_of else self._customer(key, store, comes=False)
        if not customer.revision:
            return Sight(time_ms, 0, None)
        at_ms = time_ms if self.as_of_ms is None else min(time_ms, self.as_of_ms)
        if customer.pending or customer.flip_ms <= at_ms:  # not so after `on_timer`
            customer = self._copy(store)
            customer.pass_time(max(at_ms, customer.fold.clock_ms))
        fold, revision = customer.fold, customer.revision
        now_ms = max(at_ms, fold.clock_ms)
        if not customer.is_shown:
            return Sight(now_ms, revision, None)
        values = dict(zip(FEATURE_NAMES, fold.as_of(now_ms, read_all), strict=True))
        rules, newest = customer.program.rules.version, customer.newest[1] or None
        # a run that ends does not depend on who is in the cache: it says everything
        said_ms = customer.said_ms(now_ms) if self._live else -1
        return Sight(now_ms, revision, values, version_at(now_ms, revision), rules, customer.parts, newest, said_ms)

    def _copy(self, store: KeyedStore) -> Customer:
        packed = store.load()
        return Customer(self.calendar) if packed is None else Customer.unpack(self.calendar, packed, store)

    def _renewed(self, customer: Customer) -> bool:
        """Whether other rules than before are in force for the customer, or what they changed is yet to be said."""
        return customer.renew() or bool(customer.turns)

    def _rejected(
        self, key: str, reason: str, detail: str, place: bytes, raw: bytes, size: int | None = None
    ) -> Output:
        where = place.decode("utf-8", "replace")
        if self._live:
            return Channel.REJECTED, key, rejected_from_topic(reason, detail, where, raw, size)
        return Channel.REJECTED, key, rejected_record(reason, detail, where, raw)

    def _refused(self, key: str, place: bytes, raw: bytes) -> Output:
        """A record that its reader could not turn into an event: it comes with the reason."""
        where, reason, detail, *size = place.split(REFUSED)
        told = reason.decode("utf-8", "replace"), detail.decode("utf-8", "replace")
        self.tally.reject(told[0])
        return self._rejected(key, *told, where, raw, int(size[0]) if size else None)

    def _told_late(self, key: str, time_ms: int, place: bytes, raw: bytes) -> Output:
        """Nobody looks at the counts of a live job's customers: who has sent it is told."""
        detail = f"{format_ms(time_ms)} is more than {self.settings.allowed_lateness_ms:,} ms behind the watermark"
        return self._rejected(key, Reason.TOO_LATE, detail, place, raw)

    def on_start(self, view: View, watermark_ms: int) -> Step:
        """Before anything else in a job with a control stream: what it said before is in `view`.

        Returns the event time at which every customer has to be woken, if any: other rules than before are in force
        then, or everything is to be written; and what the items have to be told of that.
        """
        return self._woken(self.book.load(view, watermark_ms), watermark_ms)

    def on_control(self, raw: bytes, view: View, watermark_ms: int) -> Step:
        """Take in a control record; see `on_start` for what is returned."""
        try:
            control = check_control(raw, self.book.base)
        except Rejected:  # the operator that reads the stream has said so, and lets nothing of the kind through
            return None, ()
        return self._woken(self.book.take(control, view, watermark_ms), watermark_ms)

    def _woken(self, from_ms: int | None, watermark_ms: int) -> Step:
        if self.book.settings is not self.settings:
            self._use(self.book.settings)
        told = [(Channel.ANNOUNCEMENT, "", payload) for payload in self._publications.announcements(watermark_ms)]
        return None if from_ms is None else max(from_ms, watermark_ms + 1), told

    def publishes(self, time_ms: int) -> bool:
        """Whether everything is to be written as of this very moment: every customer has to be woken at it."""
        return time_ms in self._publications.times_ms

    def reigns_ms(self) -> list[int]:
        """When rules came into force that a customer may not have taken up yet, and when those to come will."""
        return self.book.reigns_ms()

    def asks(self) -> set[Asked]:
        """What the rules in force, and those to come, ask the population."""
        return {asked for rules in self.book.known_rules() for asked in rules.remainder.asks}

    def _use(self, settings: Settings) -> None:
        self.settings = settings
        self.decoder = Decoder(settings, self._now_ms)
        self._promptness = Promptness(settings.prompt_profiles_per_s, self._now_ms)

    def _close(self, key: str, customer: Customer, said: list[Output]) -> None:
        """The end of a bounded run: everything as of its as-of time, once."""
        if customer.timer_ms != CLOSED:
            customer.timer_ms = CLOSED
            self._speak(key, customer, said, urgent=True, closing=True)
            said.append(outputs.counts(key, customer))

    def _speak(
        self,
        key: str,
        customer: Customer,
        said: list[Output],
        *,
        urgent: bool = False,
        closing: bool = False,
        stands: bool = False,
        renewed: bool = False,
        known_ms: int = -1,
        came_ms: int | None = None,
    ) -> None:
        """Add what has to be said now.

        `urgent`: a profile that is due at all is written now; `closing`: everything is, whether it is due or not;
        `stands`: those who know the population are told, whether a part has turned or not; `known_ms`: of that;
        `renewed`: there are other rules, by which readers may have been shown the customer where nothing turns now;
        `came_ms`: the time of a fact that has just come.
        """
        turns = customer.say()
        if turns:
            self.tally.turned(turns)
            said += outputs.change_records(key, customer, turns)
            if self._live:
                said.append(outputs.memberships(key, customer))
        if self._watching:
            self._stand(key, customer, said, stands=stands, closing=closing, known_ms=known_ms)
        publication, now_ms = customer.publication, customer.fold.clock_ms
        # a bounded run tells the items once, at its end: what they are told is a function of the ledgers alone, so the
        # sums are the same, without the steps in between that nobody would read
        if publication.exposures_ms >= 0 and (
            publication.erased or closing or (self._live and now_ms >= self._exposures_due_ms(publication))
        ):
            said += outputs.experiment_messages(customer)
        if publication.erased or closing or (self._live and now_ms >= publication.due_ms(customer.fold)):
            said += outputs.item_messages(customer, self.similar)
        # readers are shown the end of a bounded run, never how it came there: its middle is long past
        if closing or (
            self._live
            and (
                turns
                or renewed
                or publication.profile_shown is not customer.is_shown
                or (urgent and publication.profile_ms < now_ms)
                or now_ms - publication.profile_ms >= self.settings.profile_interval_ms
                or (came_ms is not None and self._promptness.allows(came_ms))
            )
        ):
            write = outputs.profile(key, customer, turns, whole=closing or renewed, closing=closing)
            if write is not None:
                self.tally.profiles += 1
                said.append(write)

    @staticmethod
    def _stand(key: str, customer: Customer, said: list[Output], *, stands: bool, closing: bool, known_ms: int) -> None:
        """Add a standing, if there is reason to. (Of who has just come it is enough to say so at the next look.)"""
        shown = customer.is_shown
        if (
            customer.parts != customer.parts_told
            or (stands and shown)
            or (customer.stood and not shown)
            or (closing and customer.revision)
        ):
            said.append(outputs.standing(key, customer, known_ms=known_ms))
        customer.stood = shown

    def _due_ms(self, customer: Customer, from_ms: int) -> int:
        """When something has to be done for the customer, as of `from_ms`, although no event arrives.

        In a bounded run nobody waits for what time alone changes: a customer lives through it at the next event, or
        at the end, at the same exact milliseconds. Only what came out of order is put right without delay.
        """
        if customer.pending:
            return 0
        if not (self._live or self._watching) or not customer.fold.clock_ms:  # who is not known cannot change
            return NEVER_MS
        if not self._live:
            return customer.flip_ms
        fold, publication, settings = customer.fold, customer.publication, self.settings
        due_ms = min(customer.flip_ms, publication.due_ms(fold))
        if publication.profile_ms < fold.clock_ms:
            due_ms = min(due_ms, publication.profile_ms + settings.profile_interval_ms)
        if publication.exposures_ms >= 0:
            due_ms = min(due_ms, self._exposures_due_ms(publication))
        if customer.ghosts.hashes:  # they fade then
            due_ms = min(due_ms, customer.ghosts.erased[0] + settings.allowed_lateness_ms + 1)
        if settings.profile_refresh_ms and publication.profile_shown:
            refresh_ms = settings.profile_refresh_ms
            # not all customers at the top of the hour, and whoever came but once in one go
            phase_ms = ((fold.first_seen_ms or 0) + refresh_ms // 2) % refresh_ms
            due_ms = min(due_ms, -((phase_ms - fold.expires_ms) // refresh_ms) * refresh_ms + phase_ms)
        if self._publications.newest_ms > from_ms:
            due_ms = min(due_ms, self._publications.next_ms(from_ms))
        return due_ms

    def _exposures_due_ms(self, publication: Publication) -> int:
        """When the sums of experiments are to be told what is new; `publication.exposures_ms` is not negative."""
        return publication.exposures_ms + self.settings.profile_interval_ms

    def _wake_ms(self, customer: Customer, watermark_ms: int, from_ms: int) -> int | None:
        """The time of a timer that is needed and not yet registered, if any."""
        due_ms = self._due_ms(customer, from_ms) or watermark_ms + 1
        if self._watching and not self._live:  # what comes of it is not known before (`Standing.known_ms`)
            due_ms = max(due_ms, watermark_ms + 1)
        return self._timer_ms(customer, due_ms)

    def _timer_ms(self, customer: Customer, wake_ms: int) -> int | None:
        if wake_ms >= customer.timer_ms or (self.as_of_ms is not None and wake_ms > self.as_of_ms):
            return None
        customer.timer_ms = wake_ms
        return wake_ms

    def _customer(self, key: str, store: KeyedStore, *, comes: bool = True) -> Customer:
        """The customer; for whom time alone passes (not `comes`), the cache is no better."""
        customer = self._cache.get(key, keep=comes)
        if customer is None:
            customer = self._copy(store)
            if comes:
                self._cache.put(key, customer)
        self._at_hand, self._at_hand_of = customer, key
        return customer


CLOSED = -1  # stands in timer_ms once the books of a bounded run are closed
