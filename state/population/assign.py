"""The assign operator's logic: own facts and the population in; changes, memberships and half of a profile out.

::

    standing of a customer ─────────┐
                                    ├─> evaluate ─> changes, memberships, what a profile has of the population
    view of the population ─> wake ─┘

Segments that need no population are not its business, nor is the profile's other half: see state/customer.

A standing is seen with the view that is in force as it comes; a new view wakes every customer. Nothing is corrected
backwards: what others did is not remembered, so a late event changes these memberships from now on. (The others are
corrected.)
"""

from collections.abc import Iterable
from typing import Any, Final, Literal

import msgspec

from schemas.changes import LEFT, Cause, CauseKind, SegmentChange, change_id
from schemas.writes import TOMBSTONE_TTL_MS, population_write
from state.channels import Channel, Output
from state.generations import Generations
from state.population.assigned import Assigned, Census, Turned
from state.population.standing import Standing
from state.population.stores import ValueStore
from state.population.view import PopulationView
from state.rules.division import Remainder
from state.rules.membership import Gone
from state.tally import AssignTally

Step = tuple[int | None, Iterable[Output]]
Happened = tuple[CauseKind, str | None]
_MODEL: Final[Happened] = ("model", None)
_TIME: Final[Happened] = ("time", None)
_DIGITS: Final = 4
"""Of probabilities in a profile."""
_encode = msgspec.json.Encoder().encode


class AssignLogic:
    """Shared by all customers of a subtask: the view in force, and the rules that customers live under."""

    def __init__(self, rules: Remainder, *, cached_customers: int = 10_000) -> None:
        """`rules`: of the submission. `cached_customers`: so many are kept unpacked (always written through)."""
        self.whole = True
        """Whether customers are seen as readers of profiles want it, or only as rules do."""
        self._newest = rules
        self._rules: dict[str, Remainder] = {rules.version: rules}
        self._view: PopulationView | None = None
        self._censuses: dict[str, Census | None] = {}
        self._cache: Generations[Assigned] = Generations(cached_customers)
        self.tally = AssignTally(rules.names)

    def learn_rules(self, rules: Remainder) -> None:
        """Rules under which customers may live from now on. Every customer has to be woken then."""
        self._newest = self._rules[rules.version] = rules
        self._forget_all()

    def forget_rules(self, version: str) -> None:
        """Rules under which nobody is to be seen any more; not the newest."""
        self._rules.pop(version, None)
        self._forget_all()

    def on_view(self, packed: bytes) -> bool:
        """Whether the view is a newer one: then every customer has to be woken."""
        return self.see(PopulationView.unpacked(packed))

    def see(self, view: PopulationView) -> bool:
        """The same, unpacked."""
        if self._view is not None and view.number <= self._view.number:
            return False
        self._view = view
        self._censuses.clear()
        self.tally.views += 1
        return True

    def on_standing(self, key: str, payload: bytes, watermark_ms: int, store: ValueStore) -> Step:
        """What a customer's own facts say."""
        standing, assigned = Standing.unpacked(payload), self.load(key, store)
        turned, outputs = self.take(key, assigned, standing)
        assigned.said = payload
        self.tell(key, assigned, outputs, turned=turned)
        if not standing.shown:  # what is left says how old a write is, for as long as the tombstone does
            assigned.forget()
            store.save(assigned.packed())
            return assigned.told_ms + TOMBSTONE_TTL_MS, outputs
        store.save(assigned.packed())
        return self.wake_ms(assigned, watermark_ms), outputs

    def on_timer(self, key: str, time_ms: int, watermark_ms: int, store: ValueStore) -> Step:
        """There is another view or there are other rules, or a minimum stay is over."""
        assigned = self.load(key, store, comes=False)
        if assigned.standing is None:
            return None, ()
        if not assigned.is_shown:
            gone_ms = assigned.told_ms + TOMBSTONE_TTL_MS
            if time_ms < gone_ms:
                return gone_ms, ()
            store.clear()
            self._cache.drop(key)
            return None, ()
        behind, rules = self.is_behind(assigned), assigned.membership.rules
        turned, outputs = self.look(key, assigned, time_ms)
        if turned or behind or assigned.membership.rules is not rules:
            self.tell(key, assigned, outputs, turned=turned)
        store.save(assigned.packed())
        return self.wake_ms(assigned, watermark_ms), outputs

    # -- one customer, unpacked ---------------------------------------------------------------------------------------

    def load(self, key: str, store: ValueStore, *, comes: bool = True) -> Assigned:
        """The customer of the store, or a new one; for whom nothing comes, the cache is no better."""
        assigned = self._cache.get(key, keep=comes)
        if assigned is None:
            packed, known = store.load(), self._rules.get
            assigned = Assigned(self._newest) if packed is None else Assigned.unpacked(packed, known, self._newest)
            if comes:
                self._cache.put(key, assigned)
        return assigned

    def take(self, key: str, assigned: Assigned, standing: Standing) -> tuple[bool, list[Output]]:
        """See the customer with what own facts say: whether anything turned, and the records of that."""
        return self._turn(key, assigned, standing, max(standing.as_of_ms, 0), standing.cause)

    def look(self, key: str, assigned: Assigned, now_ms: int) -> tuple[bool, list[Output]]:
        """The same with what was said last, as of `now_ms`; for one who is shown."""
        if assigned.standing is None:
            return False, []
        cause = _MODEL if self.is_behind(assigned) else _TIME
        return self._turn(key, assigned, assigned.standing, now_ms, cause)

    def is_behind(self, assigned: Assigned) -> bool:
        """Whether the customer has not been seen with the view in force."""
        return self._view is not None and self._view.number != assigned.view

    @property
    def view_ms(self) -> int:
        """Event time from which on the view is in force; before there is any, -1."""
        return -1 if self._view is None else self._view.at_ms

    def tell(self, key: str, assigned: Assigned, outputs: list[Output], *, turned: bool) -> None:
        """Add what readers are to know; of whom nothing was ever told, nothing before there is a view."""
        if turned:
            outputs.append(self.memberships(key, assigned))
        shown = assigned.is_shown
        if self._view is not None or assigned.version >= 0 or not shown:
            outputs.append(self.write(key, assigned))

    @staticmethod
    def memberships(key: str, assigned: Assigned) -> Output:
        """All that the customer is in now, of what asks about the population; empty: in nothing."""
        since = assigned.since()
        record = {"customer_id": key, "as_of_ms": assigned.told_ms, "segments": since}
        return (Channel.MEMBERSHIPS, key, _encode(record) if since else b"")

    def write(self, key: str, assigned: Assigned) -> Output:
        """The write that brings Redis up to date.

        It always has all that the customer is in, and is not: after a crash Redis may hold what a lost run has written
        with a higher version, and it is not the first write after it that is newer than that.
        """
        standing, version = assigned.standing, assigned.next_version()
        if standing is None:
            raise RuntimeError("nothing is known of the customer")
        since, others = self._members(assigned, standing)
        if not standing.shown:
            return (Channel.REDIS, key, population_write(key, version, standing.as_of_ms, {}, {}, others))
        body: dict[str, Any] = {"customer_id": key, "features": assigned.rfm, "segments": since}
        view = self._view
        if assigned.probabilities and view is not None and view.clusters is not None:
            name = view.clusters.cluster(assigned.cluster_id).name
            shares = {str(one): round(share, _DIGITS) for one, share in assigned.probabilities.items()}
            body["cluster"] = {"id": assigned.cluster_id, "name": name, "probabilities": shares}
        if assigned.scores:
            body["scores"] = {name: round(share, _DIGITS) for name, share in assigned.scores.items()}
        return (Channel.REDIS, key, population_write(key, version, standing.as_of_ms, body, since, others))

    def _members(self, assigned: Assigned, standing: Standing) -> tuple[dict[str, int], list[str]]:
        """What the customer is in, since when, and what they are not in of all that may have been shown."""
        since, shown_in = assigned.since(), assigned.shown_in()
        rules = self._rules.get(standing.rules)
        if rules is not None and assigned.membership.rules is not rules:
            # it may wait for an answer: but what these rules leave to own facts others write already
            since = {name: at_ms for name, at_ms in since.items() if name not in rules.own}
            shown_in = [name for name in dict.fromkeys((*shown_in, *rules.names)) if name not in rules.own]
        return since, [name for name in shown_in if name not in since]

    @staticmethod
    def wake_ms(assigned: Assigned, watermark_ms: int) -> int | None:
        """When the next minimum stay is over that somebody waits for."""
        forced_ms = assigned.membership.next_forced_ms()
        return None if forced_ms is None else max(forced_ms, watermark_ms + 1)

    def _forget_all(self) -> None:
        """There are other rules: what was made of those before is made anew."""
        self._censuses.clear()
        self._cache.clear()

    def _census(self, version: str) -> Census | None:
        """The view with its answers to the rules of a version; None while either is unknown, or an answer is."""
        if version not in self._censuses:
            rules, view = self._rules.get(version), self._view
            answers = None if rules is None or view is None else view.answers(rules.asks)
            found = None
            if rules is not None and view is not None and answers is not None:
                found = Census(rules, answers)
            self._censuses[version] = found
        return self._censuses[version]

    def _turn(
        self, key: str, assigned: Assigned, standing: Standing, now_ms: int, cause: Happened
    ) -> tuple[bool, list[Output]]:
        turned = assigned.evaluate(standing, self._view, self._census(standing.rules), now_ms, whole=self.whole)
        records = self._records(key, assigned, turned, cause)
        for record in records:
            self.tally.turned(record.segment, entered=record.change == "entered")
        return bool(records), [(Channel.SEGMENT_CHANGE, key, _encode(record)) for record in records]

    def _records(self, key: str, assigned: Assigned, turned: Turned, cause: Happened) -> list[SegmentChange]:
        """One for each change."""
        rules = assigned.membership.rules
        version = rules.version
        records = [_left(key, gone, turned.at_ms, version) for gone in turned.gone]
        for bit, entered, at_ms, since_ms in turned.changes:
            change: Literal["entered", "left"] = "entered" if entered else "left"
            segment = rules.names[bit]
            records.append(
                SegmentChange(
                    change_id=change_id(key, segment, change, at_ms, version, "", cause[1] or cause[0]),
                    customer_id=key,
                    segment=segment,
                    change=change,
                    at_ms=at_ms,
                    since_ms=since_ms,
                    cause=Cause(*cause),
                    rule_version=version,
                    why=why(self._rules[version], bit, turned) if turned.after else {},
                )
            )
        return records


def _left(key: str, gone: Gone, at_ms: int, version: str) -> SegmentChange:
    """A membership that the rules do not know any more."""
    return SegmentChange(
        change_id=change_id(key, gone.name, LEFT, at_ms, version, "", "rules"),
        customer_id=key,
        segment=gone.name,
        change=LEFT,
        at_ms=at_ms,
        since_ms=gone.since_ms,
        cause=Cause("rules"),
        rule_version=version,
        why={},
    )


def why(rules: Remainder, bit: int, turned: Turned) -> dict[str, tuple[Any, Any]]:
    """What the rule read, before and after: features, and what it asked the population."""
    read = {name: (turned.were.get(name), turned.are.get(name)) for name in rules.features_of[bit]}
    for number in rules.asks_of[bit]:
        at = len(rules.reads) + number
        read[rules.asks[number].text] = (turned.before[at] if turned.before else None, turned.after[at])
    return read
