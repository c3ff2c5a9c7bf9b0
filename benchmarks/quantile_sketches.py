"""Quantiles of a feature: Segmill's sketch, KLL, DDSketch, and a sorted array of all values.

    python -m benchmarks.quantile_sketches [--values 100000] [--repeat 3]

Needs `datasketches` (KLL of Apache DataSketches, in C++) and `ddsketch` (DataDog's, in Python) beside the package. Each
learns the same values one by one, packs itself, and is asked for the percentiles 1 to 99. Then a tenth of the values
goes and comes back, as customers' values do: KLL cannot remove what it has compacted, and this DDSketch refuses weights
that are not positive. They could only be built anew from everybody's values, so they have no row for it.

Error of value: |found - true| / |true|, the worst of the 99; of rank: how far the wanted share is from the shares of
the customers below and up to what was found. `true` is the value of rank ceil(p n / 100); KLL and DDSketch are asked by
their own definitions of a rank, which differ by one rank at most.
"""

import argparse
import bisect
import csv
import lzma
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import Protocol

from datasketches import kll_doubles_sketch
from ddsketch import DDSketch

from benchmarks.results import Results
from state.population.sketch import QuantileSketch

SHIPPED = Path(__file__).parent.parent / "examples" / "online_retail.csv.xz"
POINTS = range(1, 100)
KLL_K = 200
"""Its default: 1.33 % of rank for single quantiles, 1.65 % for all of them (99 % confidence)."""


class Peer(Protocol):
    """Something that answers quantiles."""

    def add(self, value: int) -> None: ...
    def ask(self) -> list[float]: ...
    def size(self) -> int: ...


class Ours:
    """Segmill's."""

    def __init__(self) -> None:
        self.sketch = QuantileSketch()
        self.add = self.sketch.add
        self.remove = self.sketch.remove

    def ask(self) -> list[float]:
        return [float(self.sketch.quantile(point / 100) or 0) for point in POINTS]

    def size(self) -> int:
        return len(self.sketch.packed())


class Kll:
    """Rank error, no removal."""

    def __init__(self) -> None:
        self.sketch = kll_doubles_sketch(KLL_K)
        self.add = self.sketch.update

    def ask(self) -> list[float]:
        return list(self.sketch.get_quantiles([point / 100 for point in POINTS]))

    def size(self) -> int:
        return len(self.sketch.serialize())


class DataDog:
    """Its default: relative error, and as many buckets as it takes."""

    def __init__(self) -> None:
        self.sketch = DDSketch(relative_accuracy=1 / 256)
        self.add = self.sketch.add

    def ask(self) -> list[float]:
        return [self.sketch.get_quantile_value(point / 100) for point in POINTS]

    def size(self) -> int:
        return 8 * (len(self.sketch._store.bins) + len(self.sketch._negative_store.bins))  # as it keeps them


class Sorted:
    """All values in order: exact."""

    def __init__(self) -> None:
        self.known: list[int] = []

    def add(self, value: int) -> None:
        bisect.insort(self.known, value)

    def remove(self, value: int) -> None:
        del self.known[bisect.bisect_left(self.known, value)]

    def ask(self) -> list[float]:
        return [float(self.known[-(-point * len(self.known) // 100) - 1]) for point in POINTS]

    def size(self) -> int:
        return 8 * len(self.known)


PEERS: dict[str, Callable[[], Peer]] = {
    "Segmill": Ours,
    f"KLL, k = {KLL_K}": Kll,
    "DDSketch": DataDog,
    "sorted list": Sorted,
}


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description="Quantile sketches.")
    parser.add_argument("--values", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    kept = {**vars(options), **{name: version(name) for name in ("datasketches", "ddsketch")}}
    results = Results("quantile_sketches", "Quantiles of a feature: sketches beside each other", kept)
    for title, values in streams(options.values).items():
        true = exactly(values)
        for name, make in PEERS.items():
            measure(results, f"{title}: {name}", make, values, true, options.repeat)
    results.notes.append("KLL and DDSketch cannot remove: there is no row for it.")
    results.finish()


def streams(size: int) -> dict[str, list[int]]:
    """Values as a shop has them, in cents and counts, and one that is nothing but tails."""
    rng = Random(1)
    spend = [int(100 * rng.lognormvariate(4, 1.5)) if rng.random() < 0.3 else 0 for _ in range(size)]
    return {
        "spend, 70 % zeros": spend,
        "spend, ascending": sorted(spend),
        "heavy tails": [int(100 * rng.paretovariate(0.7)) for _ in range(size)],
        "orders per customer": [min(200, int(rng.paretovariate(1.2))) for _ in range(size)],
        "spend in Online Retail": online_retail(),
    }


def online_retail() -> list[int]:
    """Net cents of each customer."""
    cents: dict[str, Decimal] = defaultdict(Decimal)
    with lzma.open(SHIPPED, "rt", encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            if row["CustomerID"]:
                cents[row["CustomerID"]] += int(row["Quantity"]) * Decimal(row["UnitPrice"]) * 100
    return [int(total) for total in cents.values()]


def exactly(values: Sequence[int]) -> tuple[list[int], list[int]]:
    """The values in order, and those at the percentiles."""
    ordered = sorted(values)
    return ordered, [ordered[-(-point * len(ordered) // 100) - 1] for point in POINTS]


def measure(
    results: Results,
    name: str,
    make: Callable[[], Peer],
    values: Sequence[int],
    true: tuple[list[int], list[int]],
    repeat: int,
) -> None:
    """All rows of one peer on one stream."""
    added, removed, asked = [], [], []
    for _ in range(repeat):
        peer = make()
        added.append(timed(peer.add, values))
        began = time.process_time()
        found = peer.ask()
        asked.append((time.process_time() - began) * 1e6)
        if isinstance(peer, Ours | Sorted):
            removed.append(timed(peer.remove, values[::10]))
            timed(peer.add, values[::10])
            assert peer.ask() == found, "what went and came back is as it was"
    ordered, thresholds = true
    results.add(f"{name}, worst error of value", "%", 100 * max(map(off_by_value, found, thresholds)))
    ranks = [off_by_rank(one, point, ordered) for one, point in zip(found, POINTS, strict=True)]
    results.add("  worst error of rank", "%", 100 * max(ranks))
    results.add("  size", "bytes", peer.size())
    results.add("  add", "us", *added)
    results.add("  remove", "us", *removed)
    results.add("  99 percentiles", "us", *asked)


def timed(step: Callable[[int], object], values: Sequence[int]) -> float:
    """CPU microseconds for each value."""
    began = time.process_time()
    for value in values:
        step(value)
    return (time.process_time() - began) / len(values) * 1e6


def off_by_value(found: float, true: int) -> float:
    """Relative; a zero that is not found is wholly wrong."""
    return abs(found - true) / abs(true) if true else float(abs(found) > 1e-9)


def off_by_rank(found: float, point: int, ordered: Sequence[int]) -> float:
    """How far `point` is from the shares of those below `found` and up to it."""
    below, up_to = (cut(ordered, found) / len(ordered) for cut in (bisect.bisect_left, bisect.bisect_right))
    return max(0.0, below - point / 100, point / 100 - up_to)


if __name__ == "__main__":
    main()
