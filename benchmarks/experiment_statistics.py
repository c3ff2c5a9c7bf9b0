"""Experiments that are looked at again and again: how often they are wrong, and how soon right.

    python -m benchmarks.experiment_statistics [--seeds 5] [--experiments 200] [--customers 100000] [--every 200]

**Peer.** A test for one look, looked at as often: Welch's t-test (`scipy.stats.ttest_ind_from_stats`) of means; of
click rates the normal test with the variance of the delta method, and the test of two proportions that takes every
impression for a trial. **Without an effect** a false alarm is an experiment in which any look saw a difference at 5 %,
before or at `--customers`, control and variant together. **With an effect** (10 % more) an interval misses if that of
any look does not hold what is true. All settings are the default ones, unless a row says otherwise.
"""

import argparse
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from math import sqrt
from statistics import NormalDist

import numpy as np
from scipy.stats import ttest_ind_from_stats

from benchmarks.experiment_customers import Kind, Running, clicks, experiments, lognormal, orders, pareto, trickling
from benchmarks.results import Results
from state.experiments.estimates import METRICS, Estimate
from state.experiments.mixture import factor, tightest
from state.experiments.planning import customers_needed, spread_of_share
from state.experiments.sequential import Interval, SequentialSettings, compare
from state.experiments.sums import Outcome, Sums, merged
from state.experiments.weighting import Stratum

SETTINGS = SequentialSettings()
KINDS = (
    (clicks("clicks per impression, 10 %"), (0.5,)),
    (orders("conversion, 5 %", 0.05), (0.5, 0.1)),
    (orders("conversion, 1 %", 0.01), (0.1,)),
    (lognormal("revenue, 5 % order, lognormal, sigma 1", 0.05, 1.0), (0.5, 0.1)),
    (lognormal("revenue, 5 % order, lognormal, sigma 1.5", 0.05, 1.5), (0.1,)),
    (pareto("revenue, 5 % order, Pareto, power 2.5", 0.05, 2.5), (0.1,)),
)
"""With the shares of customers who see the variant."""
EFFECT = 0.1
_Z = NormalDist().inv_cdf
_BOUND = _Z(0.975)
Seen = Callable[[Running], bool]


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description="Statistics of experiments that are looked at at any time.")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--experiments", type=int, default=200)
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--every", type=int, default=200)
    options = parser.parse_args()
    results = Results("experiment_statistics", "Experiments: how often wrong, how soon right", vars(options))
    measure = Measure(results, options)
    for kind, shares in KINDS:
        for share in shares:
            measure.without_effect(kind, share)
    for kind, shares in KINDS:
        for share in shares:
            measure.with_effect(kind, share)
    measure.changing_shares()
    measure.trickle()
    measure.power()
    speed(results)
    results.finish()


class Measure:
    """Runs experiments, and adds rows; a value for each seed."""

    def __init__(self, results: Results, options: argparse.Namespace) -> None:
        self.results = results
        self.seeds, self.number = range(options.seeds), options.experiments
        self.customers, self.every = options.customers, options.every

    def add(self, name: str, shares: Sequence[float]) -> None:
        """In per cent."""
        self.results.add(name, "%", *(100 * share for share in shares))

    def of(self, make: Callable[[np.random.Generator], Iterable[Running]], *seen: Seen) -> list[list[float]]:
        """Of each question, by seed: the share of experiments of which it is so."""
        shares: list[list[float]] = [[] for _ in seen]
        for seed in self.seeds:
            counts = [0] * len(seen)
            for run in islice(make(np.random.default_rng(seed)), self.number):
                for at, ask in enumerate(seen):
                    counts[at] += ask(run)
            for share, count in zip(shares, counts, strict=True):
                share.append(count / self.number)
        return shares

    def without_effect(self, kind: Kind, share: float) -> None:
        """False alarms."""
        asks: dict[str, Seen] = {
            "false alarms": lambda run: alarm(run, kind),
            "  a test for one look, looked at as often": lambda run: bool(one_look(run, kind).any()),
            "  a test for one look, looked at once": lambda run: bool(one_look(run, kind)[-1]),
        }
        if share < 0.5:
            asks["  with the variant's own variance, if it is less"] = lambda run: alarm_of_own_variances(run, kind)
        if kind.metric == "ctr":
            asks["  impressions as trials, looked at once"] = lambda run: impressions(run)
        found = self.of(lambda rng: experiments(rng, kind, self.customers, self.every, share=share), *asks.values())
        title = f"{kind.name}, {share:.0%} see the variant: "
        for name, shares in zip(asks, found, strict=True):
            self.add(name if name.startswith(" ") else title + name, shares)

    def with_effect(self, kind: Kind, share: float) -> None:
        """Experiments with an interval that misses."""
        missed, lift_missed = self.of(
            lambda rng: experiments(rng, kind, self.customers, self.every, share=share, effect=EFFECT),
            lambda run: misses(run, kind, "interval", EFFECT * kind.mean),
            lambda run: misses(run, kind, "lift_interval", EFFECT),
        )
        title = f"{kind.name}, {share:.0%} see the variant, 10 % more: "
        self.add(title + "an interval missed", missed)
        self.add("  an interval of the lift missed", lift_missed)

    def changing_shares(self) -> None:
        """1 %, 10 % and 50 % of customers see a variant without an effect, and more order from time to time."""
        kind, customers = orders("conversion", 0.05), self.customers // 5
        times = [(0.01, 1.0), (0.1, 1.2), (0.5, 1.5)]
        kept, together = [], []
        for seed in self.seeds:
            rng = np.random.default_rng(seed)
            runs = [experiments(rng, kind, customers, self.every, share=share, base=base) for share, base in times]
            apart_alarms = together_alarms = 0
            for _ in range(self.number):
                looks = list(over_times([next(run) for run in runs]))
                apart_alarms += any(differs(kind, look) for look in looks)
                pooled = [Stratum(*map(merged, zip(*look, strict=True))) for look in looks]
                together_alarms += any(differs(kind, [one]) for one in pooled)
            kept.append(apart_alarms / self.number)
            together.append(together_alarms / self.number)
        self.add(f"conversion 5, 6, 7.5 %; 1, 10, 50 % of {customers:,} see the variant: false alarms", kept)
        self.add("  all times thrown together", together)

    def trickle(self) -> None:
        """Everybody is there from the first look on, orders come later: the clock of the bound stands still."""
        kind = Kind("", "orders_per_customer", 1.0, lambda *_: {})
        for customers in (1_000, 10_000):
            (found,) = self.of(lambda rng, size=customers: trickling(rng, size, 100, 1.0), lambda run: alarm(run, kind))
            self.add(f"{customers:,} customers, all at the first of 100 looks, orders later: false alarms", found)

    def power(self) -> None:
        """Conversion of 5 %, planned for 20 % more."""
        kind, planned = orders("conversion", 0.05), 0.2
        needed = customers_needed(0.05 * planned, spread_of_share(0.05), spread_of_share(0.05 * (1 + planned)))
        size = 2 * needed.any_look
        chosen = SequentialSettings(tightest_at_customers=size)
        every = size // 200
        customers = 200 * every
        self.results.notes.append(
            f"A conversion of 5 %, 20 % more of it, a power of 80 %: {2 * needed.one_look:,} customers for one look, "
            f"at most {size:,} for any look."
        )
        for effect in (planned, 2 * planned, planned / 2):
            ours, theirs, waits, tails = [], [], [], []
            for seed in self.seeds:
                seen: list[int] = []
                once = 0
                for run in islice(
                    experiments(np.random.default_rng(seed), kind, customers, every, effect=effect), self.number
                ):
                    look = first(run, kind, chosen)
                    if look is not None:
                        seen.append((look + 1) * every)
                    once += bool(one_look(run, kind)[2 * needed.one_look // every - 1])
                ours.append(len(seen) / self.number)
                theirs.append(once / self.number)
                if seen:
                    waits.append(float(np.median(seen)))
                    tails.append(float(np.quantile(seen, 0.9)))
            self.add(f"conversion 5 %, {effect:.0%} more, {customers:,} customers: seen", ours)
            self.results.add("  customers until then", "", *waits)
            self.results.add("  customers until nine in ten of these", "", *tails)
            self.add(f"  a test for one look, at {2 * needed.one_look:,} customers: seen", theirs)


def alarm(run: Running, kind: Kind) -> bool:
    """Whether any look sees a difference."""
    return first(run, kind, SETTINGS) is not None


def first(run: Running, kind: Kind, settings: SequentialSettings) -> int | None:
    """The first look that sees one."""
    metric = METRICS[kind.metric]
    looks = range(run.looks)
    return next((at for at in looks if differs_by(compare(metric, [run.stratum(at)], settings).interval)), None)


def differs(kind: Kind, look: Sequence[Stratum]) -> bool:
    """Whether this look sees one."""
    return differs_by(compare(METRICS[kind.metric], look, SETTINGS).interval)


def differs_by(interval: Interval | None) -> bool:
    """Whether it leaves out 0."""
    return interval is not None and not interval.low <= 0 <= interval.high


def misses(run: Running, kind: Kind, which: str, truth: float) -> bool:
    """Whether any look's interval leaves out what is true."""
    metric = METRICS[kind.metric]
    for at in range(run.looks):
        found = getattr(compare(metric, [run.stratum(at)], SETTINGS), which)
        if found is not None and not found.low <= truth <= found.high:
            return True
    return False


def over_times(runs: Sequence[Running]) -> Iterable[list[Stratum]]:
    """All looks of one time after the other: what is past stays as it was at its end."""
    for at, run in enumerate(runs):
        past = [before.stratum(before.looks - 1) for before in runs[:at]]
        for look in range(run.looks):
            yield [*past, run.stratum(look)]


def _judged(run: Running, kind: Kind) -> Iterable[tuple[int, Estimate, Estimate]]:
    """Looks at which there are enough customers, as `compare` would have it."""
    metric = METRICS[kind.metric]
    for at in range(run.looks):
        stratum = run.stratum(at)
        control, variant = metric(stratum.control), metric(stratum.variant)
        if control is None or variant is None or min(control.customers, variant.customers) < SETTINGS.least_customers:
            continue
        if min(control.support, variant.support) >= SETTINGS.least_support:
            yield at, control, variant


def alarm_of_own_variances(run: Running, kind: Kind) -> bool:
    """As `alarm`, if a small variant's variance were taken as it is."""
    for _, control, variant in _judged(run, kind):
        weight = 1 / (1 / control.customers + 1 / variant.customers)
        t = (tightest(SETTINGS.alpha) - 1) * weight / (SETTINGS.tightest_at_customers / 4)
        squared = factor(t, SETTINGS.alpha) * (control.variance + variant.variance)
        if (variant.value - control.value) ** 2 > squared:
            return True
    return False


def one_look(run: Running, kind: Kind) -> np.ndarray:
    """Of each look, whether a test at 5 % that knows of no other look sees a difference; with 30 customers each."""
    metric = METRICS[kind.metric]
    pairs = [(metric(look.control), metric(look.variant)) for look in map(run.stratum, range(run.looks))]
    known = np.array([[(*one[:3],) if one else (0.0, 0.0, 0) for one in pair] for pair in pairs])
    (a, a2, n), (b, b2, m) = known[:, 0].T, known[:, 1].T
    with np.errstate(all="ignore"):
        if kind.metric == "ctr":
            seen = np.abs(a - b) > _BOUND * np.sqrt(a2 + b2)
        else:
            seen = ttest_ind_from_stats(a, np.sqrt(a2 * n), n, b, np.sqrt(b2 * m), m, equal_var=False).pvalue < 0.05
    return np.asarray(seen & (np.minimum(n, m) >= 30))


def impressions(run: Running) -> bool:
    """Whether the test of two proportions sees a difference at the end, if every impression is a trial."""
    control, variant = run.stratum(run.looks - 1)
    rate = (control.clicked + variant.clicked) / (control.shown + variant.shown)
    error = sqrt(rate * (1 - rate) * (1 / control.shown + 1 / variant.shown))
    return abs(control.clicked / control.shown - variant.clicked / variant.shown) > _BOUND * error


def speed(results: Results) -> None:
    """Microseconds each."""
    rng = np.random.default_rng(1)
    strata = [next(iter(experiments(rng, KINDS[0][0], 1_000, 1_000))).stratum(0) for _ in range(10)]
    sums, outcome, metric = Sums(), Outcome(12, 2, 1, 4_990), METRICS["ctr"]
    steps: dict[str, Callable[[], object]] = {
        "one customer more": lambda: sums.add(outcome),
        "a comparison over ten strata": lambda: compare(metric, strata, SETTINGS),
    }
    for name, step in steps.items():
        passes = []
        for _ in range(3):
            began = time.process_time()
            for _ in range(5_000):
                step()
            passes.append((time.process_time() - began) / 5_000 * 1e6)
        results.add(name, "us", *passes)


if __name__ == "__main__":
    main()
