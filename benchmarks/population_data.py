"""Snapshots of customers to cluster: of simulated logs, whose kinds are known, and of the Online Retail data."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from jobs.examples import ONLINE_RETAIL
from jobs.simulation import Simulation, SimulationSettings
from schemas.decode import Decoder
from schemas.facts import Fact, Kind
from schemas.logs import open_log
from schemas.rejects import Rejected
from schemas.settings import DAY_MS, Settings
from state.customer.features import FEATURE_NAMES, read_all
from state.customer.fold import Fold

Snapshot = tuple[str, int, dict[str, Any]]
"""Customer, as of when (ms), features by name."""


@dataclass(frozen=True, slots=True)
class Population:
    """A log as its customers are seen at regular times."""

    name: str
    intervals: list[list[Snapshot]]
    """Everybody who has been seen so far, once in each, by id."""
    kinds: dict[str, str]
    """The true kind of each customer at the end; empty where nobody knows."""

    @property
    def last(self) -> list[Snapshot]:
        return self.intervals[-1]


def simulated(
    *, seed: int, events: int, customers: int, shift_at: float | None = None, every_days: int = 5
) -> Population:
    """A simulated log of 60 days."""
    simulation = Simulation(SimulationSettings(events=events, customers=customers, seed=seed, shift_at=shift_at))
    facts = _facts(simulation.lines(), Settings())
    truth = simulation.truth()
    kinds = truth.customers | truth.customers_after_shift
    return Population(f"simulated, seed {seed}", list(_snapshots(facts, Settings(), every_days * DAY_MS)), kinds)


def online_retail(every_days: int = 14) -> Population:
    """The customers of the Online Retail data, a year."""
    settings = Settings(currency="GBP")
    facts = _facts(online_retail_lines(), settings)
    return Population("Online Retail", list(_snapshots(facts, settings, every_days * DAY_MS)), {})


def online_retail_lines() -> Iterator[bytes]:
    """The data as events."""
    return (record.raw for record in open_log([ONLINE_RETAIL]) if record.rejected is None)


def _facts(raws: Iterable[bytes], settings: Settings) -> list[tuple[str, Fact]]:
    decode = Decoder(settings).decode
    found = []
    for raw in raws:
        try:
            found.append(decode(raw))
        except Rejected:
            continue
    return sorted(found, key=lambda pair: (pair[1].time_ms, pair[1].event_id))


def _snapshots(facts: list[tuple[str, Fact]], settings: Settings, every_ms: int) -> Iterator[list[Snapshot]]:
    """The last one is as of the newest event, whole intervals before it the others."""
    folds: dict[str, Fold] = {}
    first_ms, last_ms = facts[0][1].time_ms, facts[-1][1].time_ms
    due_ms = last_ms - (last_ms - first_ms) // every_ms * every_ms
    for subject, fact in facts:
        while fact.time_ms > due_ms:
            yield _seen(folds, due_ms)
            due_ms += every_ms
        if fact.kind == Kind.ERASE:
            folds.pop(subject, None)
            continue
        fold = folds.get(subject) or folds.setdefault(subject, Fold(settings))
        fold.advance(fact.time_ms)
        fold.apply(fact)
    yield _seen(folds, last_ms)


def _seen(folds: dict[str, Fold], now_ms: int) -> list[Snapshot]:
    found = []
    for subject, fold in sorted(folds.items()):
        fold.advance(now_ms)
        if fold.last_seen_ms is not None:
            found.append((subject, now_ms, dict(zip(FEATURE_NAMES, read_all(fold, now_ms), strict=True))))
    return found
