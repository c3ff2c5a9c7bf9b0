"""Snapshots of the simulated shop's customers: real features, as the jobs would have them."""

from collections.abc import Iterator
from typing import Any

from jobs.simulation import SimulationSettings, simulate
from schemas.decode import Decoder
from schemas.facts import Fact, Kind
from schemas.settings import DAY_MS, Settings
from state.customer.features import FEATURE_NAMES, read_all
from state.customer.fold import Fold

Snapshots = dict[str, dict[str, Any]]


def daily(settings: SimulationSettings) -> Iterator[tuple[int, Snapshots]]:
    """At the end of each day: the time, and the features of everybody who has come so far."""
    decode = Decoder(Settings()).decode
    facts = sorted((decode(line) for line in simulate(settings)), key=lambda one: (one[1].time_ms, one[1].event_id))
    folds: dict[str, Fold] = {}
    day_ends_ms = settings.start_ms + DAY_MS
    for subject, fact in facts:
        while fact.time_ms >= day_ends_ms:
            yield day_ends_ms, _read(folds, day_ends_ms)
            day_ends_ms += DAY_MS
        _apply(folds.setdefault(subject, Fold(Settings())), fact)
    yield day_ends_ms, _read(folds, day_ends_ms)


def _apply(fold: Fold, fact: Fact) -> None:
    if fact.kind != Kind.ERASE:
        fold.advance(fact.time_ms)
        fold.apply(fact)


def _read(folds: dict[str, Fold], at_ms: int) -> Snapshots:
    found = {}
    for subject, fold in folds.items():
        fold.advance(at_ms)
        found[subject] = dict(zip(FEATURE_NAMES, read_all(fold, at_ms), strict=True))
    return found
