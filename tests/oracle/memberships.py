"""The exact segment changes of one customer, found by looking at every moment at which anything can change."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import pairwise
from operator import le, lt
from typing import Any

from .events import Event
from .plain import DAY, GAP, WINDOWS, Features, Standing, decayed, engagement_of, features_of, history_of

Predicate = Callable[[Features], bool]


@dataclass(frozen=True)
class Rule:
    """A segment in plain Python.

    Predicates get the features (absent ones are None), and as `segments` the frozenset of the segments that the
    customer is in: those of rules further up as of this moment, of the others as of the moment before.
    """

    name: str
    enter: Predicate
    leave: Predicate | None = None
    """None: as soon as `enter` is no longer true."""
    minimum_stay_ms: int = 0
    ages_ms: Sequence[int] = ()
    """Every limit x that the predicates compare an age (recency_ms, since_last_seen_ms ...) with."""
    engagements: Sequence[float] = ()
    """Every limit that they compare engagement with."""


@dataclass(frozen=True, order=True)
class Change:
    """A change that is true; `since_ms` is when the segment was entered."""

    at_ms: int
    segment: str
    change: str
    since_ms: int


@dataclass
class _Run:
    events: list[Event]
    versions: Sequence[tuple[int, Sequence[Rule]]]
    as_of_ms: int
    rules: Sequence[Rule] = ()
    members: dict[str, int] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    moments: list[int] = field(default_factory=list)
    known: tuple[list[Event], Standing | None] = ([], None)  # what was applied at the last moment, and what it says

    def leave(self, name: str, at_ms: int) -> None:
        self.changes.append(Change(at_ms, name, "left", self.members.pop(name)))

    def step(self, at_ms: int) -> None:
        """Evaluate all rules in force, once, with all events of this millisecond."""
        self.take_up([rules for from_ms, rules in self.versions if from_ms <= at_ms][-1])
        if any(event.type == "erase" and event.time_ms == at_ms for event in self.events):
            for name in list(self.members):
                self.leave(name, at_ms)
        for name in list(self.members):
            if all(rule.name != name for rule in self.rules):
                self.leave(name, at_ms)
        history = history_of(self.events, at_ms)
        if history.denied:
            for name in list(self.members):
                self.leave(name, at_ms)
            return
        if not history.applied:
            return
        features = features_of(history.applied, self.standing(history.applied), at_ms)
        for rule in self.rules:
            self.judge(rule, features, at_ms)

    def standing(self, applied: list[Event]) -> Standing:
        before, standing = self.known
        if standing is None or applied != before:
            standing = Standing.of(applied)
            self.known = applied, standing
        return standing

    def take_up(self, rules: Sequence[Rule]) -> None:
        """Other rules: a minimum stay is theirs, counted from when the segment was entered."""
        if rules is not self.rules:
            self.rules = rules
            for rule in rules:
                if rule.name in self.members:
                    heappush(self.moments, self.members[rule.name] + rule.minimum_stay_ms)

    def judge(self, rule: Rule, features: Features, at_ms: int) -> None:
        features["segments"] = frozenset(self.members)
        enters = bool(rule.enter(features))
        leaves = not enters if rule.leave is None else bool(rule.leave(features))
        if rule.name not in self.members:
            if enters and not leaves:
                self.members[rule.name] = at_ms
                self.changes.append(Change(at_ms, rule.name, "entered", at_ms))
                heappush(self.moments, at_ms + rule.minimum_stay_ms)
        elif leaves and at_ms - self.members[rule.name] >= rule.minimum_stay_ms:
            self.leave(rule.name, at_ms)


def true_changes(
    events: Iterable[Event],
    rules: Sequence[Rule],
    as_of_ms: int,
    later: Sequence[tuple[int, Sequence[Rule]]] = (),
) -> list[Change]:
    """All changes up to a moment, in order of time and, within one millisecond, of the rules.

    Args:
        events: distinct accepted events of one customer, in any order.
        rules: a rule that asks for another segment stands below it.
        later: (from_ms, rules) that replace them, in order of time.
    """
    mine = sorted(events, key=lambda event: event.order)
    versions = [(-1, rules), *later]
    moments = {from_ms for from_ms, _ in later if from_ms >= 0}.union(*(moments_of(mine, one) for _, one in versions))
    run = _Run(mine, versions, as_of_ms, moments=sorted(moments))
    heapify(run.moments)
    done = -1
    while run.moments and run.moments[0] <= as_of_ms:
        at_ms = heappop(run.moments)
        if at_ms > done:
            run.step(at_ms)
            done = at_ms
    return run.changes


def members_at(events: Iterable[Event], rules: Sequence[Rule], as_of_ms: int) -> dict[str, int]:
    """Segment to since_ms."""
    members: dict[str, int] = {}
    for change in true_changes(events, rules, as_of_ms):
        if change.change == "entered":
            members[change.segment] = change.at_ms
        else:
            del members[change.segment]
    return members


def moments_of(events: Sequence[Event], rules: Sequence[Rule]) -> set[int]:
    """Every millisecond at which a feature can cross a limit; minimum stays come on top."""
    delays = {0, GAP} | {days * DAY for days in WINDOWS}
    for rule in rules:
        for age in rule.ages_ms:
            delays |= {age, age + 1}
    moments = {event.time_ms + delay for event in events for delay in delays}
    limits = {limit for rule in rules for limit in rule.engagements}
    ends = [*(event.time_ms for event in events), 1 << 52] if limits else []
    for start, end in pairwise(ends):
        score = engagement_of(history_of(events, start).applied)
        moments |= {at for limit in limits for at in _crossings(score, limit, start, end)}
    return moments


def _crossings(score: tuple[float, int], limit: float, start: int, end: int) -> list[int]:
    """The first millisecond in [start, end) at which engagement is not above the limit, and the first below it.

    Args:
        score: as of the last event that weighed something, and when that was.
    """
    found = []
    for is_past in (le, lt):
        low, high = start, end
        while low < high:
            middle = (low + high) // 2
            if is_past(decayed(*score, middle), limit):
                high = middle
            else:
                low = middle + 1
        if low < end:
            found.append(low)
    return found


def as_records(changes: Iterable[Change], customer_id: str) -> list[dict[str, Any]]:
    """As segment changes with the fields that are a matter of fact, to be compared with what was emitted."""
    return [
        {
            "customer_id": customer_id,
            "segment": change.segment,
            "change": change.change,
            "at_ms": change.at_ms,
            "since_ms": change.since_ms,
        }
        for change in changes
    ]
