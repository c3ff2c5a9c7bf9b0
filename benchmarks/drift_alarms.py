"""How often drift alarms are false, and how soon they are right.

    python -m benchmarks.drift_alarms [--seeds 6] [--days 250]

**Distances.** 1,000 customers a day, each at a distance of their own (the length of a normal vector in eight
dimensions, over its mean, so 1 is typical) that changes a little from day to day. Stable: `--days` days for each seed;
what is counted are the days with an alarm, where the same customers come each day, whose mean wanders slowly, and where
others do. Shifted: after 30 days some of the customers are twice as far as they were;
what is counted are the days until the first alarm, among 30, the day of the shift being day 1.

**Distributions.** Ten features of 1,000 customers, lognormal; a second sample of others like them, all of them or one
feature multiplied. This is harder than two looks at mostly the same customers.

**Simulated shop.** Its customers two weeks after a model, with a change of behaviour in between and without: every
second customer of some kinds then behaves like another kind. Whoever ever came is counted, and ever more of them have
gone, which moves the features, too.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from math import exp
from random import Random
from statistics import mean, median

import numpy as np
from river import drift

from benchmarks.results import Results
from benchmarks.shop_days import Snapshots, daily
from jobs.simulation import SimulationSettings
from schemas.settings import DAY_MS
from state.population.contributions import FeatureSketches, contribute
from state.population.detectors import Adwin, PageHinkley
from state.population.divergence import Bins, psi
from state.population.drift import DistanceDrift, DriftAlarm, DriftSettings
from state.population.sketch import QuantileSketch

CUSTOMERS, DIMENSIONS = 1_000, 8
QUIET_DAYS, SHIFTED_DAYS = 30, 30
KEPT = 0.9
"""Correlation of a customer's position with that of the day before, where the same customers come each day."""
DETECTORS = {
    **{f"ADWIN, delta {delta:g}": DriftSettings(delta=delta) for delta in (0.002, 1e-4)},
    **{
        f"Page-Hinkley, threshold {threshold:g}": DriftSettings(detector="page-hinkley", threshold=threshold)
        for threshold in (25, 50)
    },
}
SHOP_FEATURES = ("views_14d", "cart_adds_14d", "orders_14d", "revenue_14d_cents", "sessions_14d", "engagement")
Batches = Iterator[dict[str, float]]


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description="Drift alarms.")
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--days", type=int, default=250)
    options = parser.parse_args()
    results = Results("drift_alarms", "Drift alarms: how often false, how soon right", vars(options))
    for name, settings in DETECTORS.items():
        distances(results, name, settings, options.seeds, options.days)
    distributions(results, options.seeds)
    shop(results)
    speed(results)
    results.finish()


def days(seed: int, shift: float = 0.0, kept: float = KEPT) -> Batches:
    """Distances day by day without end; from day 30 on a share of `shift` of the customers is twice as far."""
    rng = np.random.default_rng(seed)
    names = [f"c{number}" for number in range(CUSTOMERS)]
    place = rng.standard_normal((CUSTOMERS, DIMENSIONS))
    far = 1 + (rng.random(CUSTOMERS) < shift)
    for day in count():
        lengths = np.linalg.norm(place, axis=1) / np.sqrt(DIMENSIONS)
        yield dict(zip(names, (lengths * far if day >= QUIET_DAYS else lengths).tolist(), strict=True))
        place = kept * place + np.sqrt(1 - kept**2) * rng.standard_normal(place.shape)


def distances(results: Results, name: str, settings: DriftSettings, seeds: int, stable_days: int) -> None:
    """False alarms for each seed; days until a true one."""
    for title, kept in (("the same customers each day", KEPT), ("others each day", 0.0)):
        false = [1_000 * sum(alarms(settings, seed, 0.0, stable_days, kept)) / stable_days for seed in range(seeds)]
        results.add(f"{name}, {title}: days with a false alarm, of 1,000", "days", mean(false))
    for shift in (0.02, 0.05, 0.1, 0.25):
        waits = []
        for seed in range(seeds):
            seen = alarms(settings, seed, shift, QUIET_DAYS + SHIFTED_DAYS)[QUIET_DAYS:]
            waits.append(seen.index(True) + 1 if True in seen else None)
        found = [wait for wait in waits if wait is not None]
        results.add(f"  {shift:.0%} of the customers twice as far: seen within 30 days", "%", 100 * len(found) / seeds)
        results.add("    days until then", "days", *([min(found), median(found), max(found)] if found else []))


def alarms(settings: DriftSettings, seed: int, shift: float, number: int, kept: float = KEPT) -> list[bool]:
    """Of each day, whether there was one; without hold-off."""
    watched = DistanceDrift(settings)
    batches = zip(range(number), days(seed, shift, kept), strict=False)
    return [watched.on_batch(batch, day * DAY_MS) for day, batch in batches]


def distributions(results: Results, seeds: int) -> None:
    """Alarms of two independent samples; without a change, and with one in all features or in one."""
    for size in (100, 1_000):
        for title, factor, moved in (
            ("no change", 1.0, 0),
            ("one of ten features by half more", 1.5, 1),
            ("one of ten features doubled", 2.0, 1),
            ("one of ten features five times as much", 5.0, 1),
        ):
            rounds = 10 * seeds
            raised = sum(feature_alarm(Random(seed), size, factor, moved) for seed in range(rounds))
            results.add(f"distributions, {size:,} customers, {title}: alarms", "%", 100 * raised / rounds)


def feature_alarm(rng: Random, size: int, factor: float, moved: int) -> bool:
    """Whether two samples raise one."""
    names = [f"{metric}_{width}d" for metric in ("views", "sessions") for width in (1, 7, 14, 30, 90)]
    old = {name: lognormal(rng, size, 1.0) for name in names}
    new = {name: lognormal(rng, size, factor if at < moved else 1.0) for at, name in enumerate(names)}
    bins = [found for name in names if (found := Bins.of(name, old[name], 0)) is not None]
    return DriftAlarm(DriftSettings()).on_distributions(bins, new, 0) is not None


def lognormal(rng: Random, size: int, factor: float) -> QuantileSketch:
    """Cents: a median of 20, the middle two thirds from 4.50 to 90."""
    sketch = QuantileSketch()
    for _ in range(size):
        sketch.add(int(factor * 2_000 * exp(rng.gauss(0, 1.5))))
    return sketch


def shop(results: Results) -> None:
    """How far the simulated shop's features are on day 43 from where they were on day 29."""
    for shift_at in (None, 0.5):
        settings = SimulationSettings(events=60_000, customers=3_000, days=60, shift_at=shift_at)
        known = dict(zip(range(1, 44), daily(settings), strict=False))
        (then_ms, then), (now_ms, now) = known[29], known[43]
        old, new = sketches_of(then, then_ms), sketches_of(now, now_ms)
        bins = [found for name in SHOP_FEATURES if (found := Bins.of(name, old[name], then_ms)) is not None]
        title = "shop, no change" if shift_at is None else "shop, a change on day 30"
        for one in bins:
            results.add(f"{title}: index of {one.feature}", "", psi(one.counts, one.count(new[one.feature], now_ms)))
        alarm = DriftAlarm(DriftSettings()).on_distributions(bins, new, now_ms)
        results.notes.append(f"{title}: {'an alarm' if alarm else 'no alarm'}")


def sketches_of(customers: Snapshots, at_ms: int) -> Mapping[str, QuantileSketch]:
    """Of some features of all customers."""
    counts = FeatureSketches()
    for values in customers.values():
        counts.apply(contribute(None, values, at_ms, SHOP_FEATURES)[0])
    return {name: counts.sketch(name) for name in SHOP_FEATURES}


def speed(results: Results) -> None:
    """Microseconds for each value, beside River's own."""
    rng = Random(1)
    values = [rng.random() for _ in range(100_000)]
    makes: dict[str, Callable[[], Callable[[float], object]]] = {
        "ADWIN: update": lambda: Adwin(0.002).update,
        "  River's": lambda: drift.ADWIN(delta=0.002).update,
        "Page-Hinkley: update": lambda: PageHinkley(50.0).update,
        "  River's ": lambda: drift.PageHinkley().update,
    }
    for name, make in makes.items():
        passes = []
        for _ in range(3):
            step = make()
            began = time.process_time()
            for value in values:
                step(value)
            passes.append((time.process_time() - began) / len(values) * 1e6)
        results.add(name, "us", *passes)


if __name__ == "__main__":
    main()
