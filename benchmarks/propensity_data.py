"""Examples for the scores from whole logs: snapshots of every customer day by day, and what became of them.

Customers are followed one by one with the project's own fold and labels: a snapshot every `every_ms`, at a time of day
of their own, as long as they were seen within 90 days, and one more whenever an answer is due.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

from jobs.simulation import SimulationSettings, simulate
from schemas.decode import Decoder
from schemas.facts import Fact, Kind
from schemas.logs import open_log
from schemas.rejects import Rejected
from schemas.settings import DAY_MS, Settings
from state.customer.features import FEATURE_NAMES, read_all
from state.customer.fold import Fold
from state.dict_chunks import DictChunkStore
from state.population.labels import NOTHING, Example, answer, take

SEEN_WITHIN_MS = 90 * DAY_MS
Histories = dict[str, list[Fact]]


class Settled(NamedTuple):
    """An example, and when its outcome was known."""

    at_ms: int
    example: Example


def simulated(settings: SimulationSettings) -> Histories:
    """Of the simulated shop."""
    return _histories(simulate(settings), Settings(currency=settings.currency))


def online_retail(path: Path) -> Histories:
    """Of the Online Retail data set."""
    return _histories((record.raw for record in open_log([path]) if not record.rejected), Settings(currency="GBP"))


def _histories(lines: Iterable[bytes], settings: Settings) -> Histories:
    decode = Decoder(settings).decode
    found: defaultdict[str, dict[str, Fact]] = defaultdict(dict)
    for line in lines:
        try:
            subject, fact = decode(line)
        except Rejected:
            continue
        found[subject].setdefault(fact.event_id, fact)
    return {
        subject: sorted(facts.values(), key=lambda fact: (fact.time_ms, fact.event_id))
        for subject, facts in sorted(found.items())
    }


def settled(histories: Histories, every_ms: int) -> list[Settled]:
    """All that is settled by the newest event of all, in the order of that time."""
    until_ms = max(facts[-1].time_ms for facts in histories.values())
    made = [one for subject, facts in histories.items() for one in _follow(subject, facts, until_ms, every_ms)]
    return sorted(made, key=lambda one: (one.at_ms, one.example[:3]))


def _follow(subject: str, facts: list[Fact], until_ms: int, every_ms: int) -> Iterator[Settled]:
    fold, store, pending = Fold(Settings()), DictChunkStore(), NOTHING
    phase_ms = crc32(subject.encode()) % every_ms
    snapshot_ms = (facts[0].time_ms - phase_ms) // every_ms * every_ms + every_ms + phase_ms
    applied = 0
    while True:
        due_ms = pending.next_due_ms()
        now_ms = snapshot_ms if due_ms is None else min(due_ms, snapshot_ms)
        if now_ms > until_ms:
            return
        while applied < len(facts) and facts[applied].time_ms <= now_ms:
            fact = facts[applied]
            applied += 1
            fold.advance(fact.time_ms)
            if fact.kind == Kind.ERASE:
                fold.erase(store)
                pending = NOTHING
            else:
                fold.apply(fact)
        fold.advance(now_ms)
        if fold.denied:
            pending = NOTHING
        values = dict(zip(FEATURE_NAMES, read_all(fold, now_ms), strict=True))
        is_about = fold.last_seen_ms is not None and now_ms - fold.last_seen_ms < SEEN_WITHIN_MS and not fold.denied
        if now_ms == snapshot_ms and is_about:
            step = take(pending, subject, now_ms, values)
        else:
            step = answer(pending, subject, now_ms, values)
        if now_ms == snapshot_ms:
            snapshot_ms += every_ms
            if not is_about and applied < len(facts):
                behind_ms = facts[applied].time_ms - snapshot_ms
                snapshot_ms += max(0, -(-behind_ms // every_ms)) * every_ms
            elif not is_about and step.pending.next_due_ms() is None:
                return
        pending = step.pending
        yield from (Settled(now_ms, example) for example in step.examples)


def some_values(histories: Histories, count: int) -> list[dict[str, Any]]:
    """The features of some customers, each as of their newest event."""
    made: list[dict[str, Any]] = []
    for facts in list(histories.values())[:count]:
        fold, store = Fold(Settings()), DictChunkStore()
        for fact in facts:
            fold.advance(fact.time_ms)
            if fact.kind == Kind.ERASE:
                fold.erase(store)
            else:
                fold.apply(fact)
        made.append(dict(zip(FEATURE_NAMES, read_all(fold, fold.clock_ms), strict=True)))
    return made
