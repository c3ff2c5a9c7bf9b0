"""Shares of traffic: how often a mismatch is seen where there is none, and how soon where there is one.

    python -m benchmarks.sample_ratio [--seeds 5] [--experiments 200]

**Peer.** The chi-squared test of goodness of fit, looked at as often. **Without a mismatch**: 50,000 customers, looked
at after every 50. **With one** the variant loses some of its customers; what is counted are customers until the alarm,
at a p-value of at most 0.001, the median of all experiments, beside the number with which a single chi-squared test
sees it in half of all cases.
"""

import argparse
from collections.abc import Sequence

import numpy as np
from scipy.stats import chi2, ncx2

from benchmarks.results import Results
from state.experiments.sample_ratio import SampleRatioSettings, Shared, sample_ratio

CUSTOMERS, EVERY = 50_000, 50
LONGEST = 6
"""An experiment with a mismatch ends without an alarm at so many times the customers of the single test."""
SHARES = {"half and half": (0.5, 0.5), "9 to 1": (0.9, 0.1), "four alike": (0.25,) * 4}


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description="Sample-ratio mismatch.")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--experiments", type=int, default=200)
    options = parser.parse_args()
    results = Results("sample_ratio", "Shares of traffic: mismatches seen", vars(options))
    alarms(results, options.seeds, options.experiments)
    delays(results, options.seeds, options.experiments)
    results.finish()


def alarms(results: Results, seeds: int, number: int) -> None:
    """Without a mismatch, for each seed."""
    for title, shares in SHARES.items():
        for threshold in (0.001, 0.05):
            settings = SampleRatioSettings(threshold=threshold)
            ours, theirs = [], []
            for seed in range(seeds):
                rng = np.random.default_rng(seed)
                found = [mismatch(rng, shares, shares, CUSTOMERS, EVERY, settings) for _ in range(number)]
                ours.append(100 * sum(at is not None for at, _ in found) / number)
                theirs.append(100 * sum(other for _, other in found) / number)
            results.add(f"{title}, p at most {threshold:g}: false alarms", "%", *ours)
            results.add("  chi-squared test, looked at as often", "%", *theirs)


def delays(results: Results, seeds: int, number: int) -> None:
    """Half and half, but the variant loses some of its customers."""
    promised = (0.5, 0.5)
    for lost in (0.2, 0.1, 0.05, 0.02):
        actual = (0.5, 0.5 * (1 - lost))
        once = single_test(promised, actual, SampleRatioSettings().threshold)
        results.add(f"half and half, {lost:.0%} of the variant's lost: customers of one chi-squared test", "", once)
        most, every = LONGEST * once, max(1, once // 200)
        for concentration in (100.0, 1_000.0, 10_000.0):
            settings = SampleRatioSettings(concentration=concentration)
            waits = []
            for seed in range(seeds):
                rng = np.random.default_rng(seed)
                found = [mismatch(rng, promised, actual, most, every, settings)[0] for _ in range(number)]
                waits.append(float(np.median([most if at is None else at for at in found])))
            results.add(f"  concentration {concentration:,.0f}: customers until the alarm", "", *waits)


def mismatch(
    rng: np.random.Generator,
    promised: Sequence[float],
    actual: Sequence[float],
    customers: int,
    every: int,
    settings: SampleRatioSettings,
) -> tuple[int | None, bool]:
    """One experiment.

    Returns:
        Customers at the first alarm, None without; and whether a chi-squared test, looked at as often, raises one.
    """
    counts = np.cumsum(rng.multinomial(every, np.array(actual) / sum(actual), customers // every), axis=0)
    expected = counts.sum(axis=1, keepdims=True) * np.array(promised)
    squares = ((counts - expected) ** 2 / expected).sum(axis=1)
    theirs = bool((squares > chi2.isf(settings.threshold, len(promised) - 1)).any())
    names = [str(number) for number in range(len(promised))]
    shares = dict(zip(names, promised, strict=True))
    for look in counts.tolist():
        found = sample_ratio([Shared(shares, dict(zip(names, look, strict=True)))], settings)
        if found.verdict == "mismatch":
            return found.customers, theirs
    return None, theirs


def single_test(promised: Sequence[float], actual: Sequence[float], threshold: float) -> int:
    """Customers with which a single chi-squared test sees the mismatch in half of all cases."""
    off = sum((a / sum(actual) - p) ** 2 / p for a, p in zip(actual, promised, strict=True))
    freedom = len(promised) - 1
    bound = chi2.isf(threshold, freedom)
    least, most = 1, 10**9
    while least < most:
        middle = (least + most) // 2
        if ncx2.sf(bound, freedom, middle * off) >= 0.5:
            most = middle
        else:
            least = middle + 1
    return least


if __name__ == "__main__":
    main()
