"""Replays a log under two rule files and says who would have moved: no engine, no Redis, nothing left behind."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from schemas.changes import SegmentChange
from schemas.decode import Decoder
from schemas.facts import Fact
from schemas.rejects import Rejected
from schemas.settings import Settings
from state.channels import Channel, Output
from state.customer.logic import PLACE_END, CustomerLogic
from state.local import LocalRun
from state.population.settings import population_settings
from state.rules.ruleset import RuleSet
from state.similar.settings import SimilarSettings

DAY_MS = 86_400_000
FLAP_MS = DAY_MS
"""A customer who leaves a segment within this time of entering it, or comes back within it, flaps."""


@dataclass(slots=True)
class SegmentRecord:
    """How one segment fared under one rule file."""

    members: dict[str, int] = field(default_factory=dict)
    """At the end: customer -> since_ms."""
    entered: int = 0
    left: int = 0
    flaps: int = 0
    """Turns within a day of the customer's turn before."""
    stays_ms: list[int] = field(default_factory=list)
    turned_ms: dict[str, int] = field(default_factory=dict)

    def take(self, change: SegmentChange) -> None:
        """Count one change."""
        customer = change.customer_id
        before_ms = self.turned_ms.get(customer)
        if before_ms is not None and change.at_ms - before_ms < FLAP_MS:
            self.flaps += 1
        self.turned_ms[customer] = change.at_ms
        if change.change == "entered":
            self.entered += 1
            self.members[customer] = change.at_ms
        else:
            self.left += 1
            self.stays_ms.append(change.at_ms - change.since_ms)
            self.members.pop(customer, None)


@dataclass(slots=True)
class Rehearsal:
    """What a rule file would have done."""

    rules: RuleSet
    segments: dict[str, SegmentRecord]
    customers: int = 0
    rejected: Counter[str] = field(default_factory=Counter)


def rehearse(
    records: Iterable[tuple[str, int, bytes]],
    rules: RuleSet,
    settings: Settings,
    as_of_ms: int,
    on_record: Callable[[], None] = lambda: None,
) -> Rehearsal:
    """Replay (subject, time_ms, raw event) records under `rules`, as of `as_of_ms`.

    With a population, if the settings want one; else segments that ask about it are left out.
    """
    close: Callable[[], Iterable[Output]]
    if population_settings(settings).enabled:
        from jobs.local_population import local_logics  # only who wants a population waits for NumPy, SciPy and River
        from state.local_population import LocalPopulation

        whole = LocalPopulation(local_logics(settings, rules.text, as_of_ms), settings.out_of_orderness_ms)
        feed, close, customers = whole.feed, whole.close, whole.customers.stores
        names = [segment.name for segment in rules.segments]
    else:
        logic = CustomerLogic(settings, rules, SimilarSettings(), as_of_ms=as_of_ms)
        local = LocalRun(logic, settings.out_of_orderness_ms)
        feed, close, customers = local.feed, local.close, local.stores
        names = list(rules.names)
    rehearsal = Rehearsal(rules, {name: SegmentRecord() for name in names})
    decode = msgspec.json.Decoder(SegmentChange).decode

    def take(outputs: Iterable[tuple[int, str, bytes]]) -> None:
        for channel, _, payload in outputs:
            if channel == Channel.SEGMENT_CHANGE:
                change = decode(payload)
                rehearsal.segments[change.segment].take(change)

    for subject, time_ms, raw in records:
        take(feed(subject, time_ms, PLACE_END + raw))
        on_record()
    take(close())
    rehearsal.customers = len(customers)
    return rehearsal


def accepted(raws: Iterable[bytes], settings: Settings) -> tuple[list[tuple[str, int, bytes]], Counter[str]]:
    """The (subject, time_ms, raw) of all valid events in time order, and the rest by reason."""
    rejected: Counter[str] = Counter()
    found = [(subject, fact.time_ms, raw) for subject, fact, raw in decoded(raws, settings, rejected)]
    found.sort(key=lambda record: record[1])  # a rehearsal wants the final truth, not its corrections
    return found, rejected


def decoded(raws: Iterable[bytes], settings: Settings, rejected: Counter[str]) -> Iterator[tuple[str, Fact, bytes]]:
    """The (subject, fact, raw) of all valid events as they come; `rejected` counts the rest by reason."""
    decode = Decoder(settings).decode
    for raw in raws:
        try:
            subject, fact = decode(raw)
        except Rejected as error:
            rejected[str(error.reason)] += 1
        else:
            yield subject, fact, raw
