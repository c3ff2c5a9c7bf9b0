"""The pure core on one core: decode, dedup, sessions, windows, orders, features, the default rules, outputs, packing.

    python -m benchmarks.core [--events 200000] [--repeat 3]

What Flink does is done by `state.local.LocalRun` (a dict of states, a heap of timers), so what is timed is the customer
logic from bytes to bytes. Time is CPU time of this process; each figure stands beside the time of a calibration loop
run just before and after it, and is also given as it would be on a machine where that loop takes 0.1 s.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.machine import calibration_s
from benchmarks.results import Results
from benchmarks.workload import Records, records
from operators.garbage import collect_seldom
from schemas.settings import DAY_MS, Settings
from state.customer.logic import CustomerLogic
from state.local import LocalRun
from state.rules.ruleset import load_rules
from state.similar.settings import SimilarSettings

REFERENCE_S = 0.1
"""What the calibration loop takes on the machine that figures are brought to."""
WINDOWS = (100, 10_000, 100_000)
HOT_WINDOW_MS = 90 * DAY_MS
VISIT_EVENTS, VISIT_STEP_MS = 10, 20_000
HOT_TIMED = 1_000
START_MS = 1_577_836_800_000
"""2020-01-01: the smallest window needs 2.7 years for its events, and none may lie in the future."""


@dataclass(frozen=True, slots=True)
class Timed:
    """One timed pass."""

    events: int
    cpu_s: float
    calibration_s: float

    @property
    def us(self) -> float:
        """CPU microseconds per event."""
        return self.cpu_s / self.events * 1e6

    @property
    def us_at_reference(self) -> float:
        return self.us * REFERENCE_S / self.calibration_s


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description="The pure core on one core.")
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    results = Results("core", "The pure core, one core", vars(options))
    made = records(options.events)
    _mix(results, made, options.repeat)
    _windows(results, options.repeat)
    results.finish()


def logic(*, live: bool, as_of_ms: int) -> CustomerLogic:
    """The customer logic with the default rules; not `live`: as in an embedded run that ends at `as_of_ms`."""
    return CustomerLogic(Settings(), load_rules(), SimilarSettings(), as_of_ms=None if live else as_of_ms)


def _mix(results: Results, made: Records, repeat: int) -> None:
    newest_ms = max(time_ms for _, time_ms, _ in made)
    for name, live in (("embedded settings", False), ("live settings", True)):
        passes: list[Timed] = []
        closings: list[float] = []
        totals: list[float] = []
        sizes: list[int] = []
        for _ in range(repeat):
            run = LocalRun(logic(live=live, as_of_ms=newest_ms), Settings().out_of_orderness_ms)
            passes.append(timed(run, made))
            sizes = sorted(len(store.packed or b"") for store in run.stores.values())
            began = time.process_time()
            for _ in run.close():
                pass
            closing_s = time.process_time() - began
            closings.append(closing_s / len(sizes) * 1e6)
            totals.append(len(made) / (passes[-1].cpu_s + closing_s))
        _add_passes(results, f"default mix, {name}", passes)
        results.add(f"  end of the run, {name}", "us/customer", *closings)
        results.add(f"{name}, the end of the run included", "events/s", *totals)
        if not live:
            results.add("calibration loop", "s", *(one.calibration_s for one in passes))
            for label, share in (("median", 0.5), ("p90", 0.9), ("p99", 0.99)):
                results.add(f"  packed state of a customer, {label}", "bytes", _quantile(sizes, share))


def _windows(results: Results, repeat: int) -> None:
    for window in WINDOWS:
        made = _hot_customer(window, HOT_TIMED)
        passes: list[Timed] = []
        size = chunks = 0
        for _ in range(repeat):
            run = LocalRun(logic(live=False, as_of_ms=made[-1][1]), Settings().out_of_orderness_ms)
            _feed(run, made[:window])
            passes.append(timed(run, made[window:]))
            store = run.stores["hot"]
            size, chunks = len(store.packed or b""), sum(map(len, store.values()))
        _add_passes(results, f"one customer with {window:,} events in 90 days", passes)
        results.add("  state read and written with every event", "bytes", size)
        results.add("  state in sealed chunks beside it", "bytes", chunks)


def _add_passes(results: Results, name: str, passes: Sequence[Timed]) -> None:
    results.add(name, "events/s", *(1e6 / one.us for one in passes))
    results.add("  the same", "us/event", *(one.us for one in passes))
    results.add("  where the loop takes 0.1 s", "us/event", *(one.us_at_reference for one in passes))


def timed(run: LocalRun, made: Records) -> Timed:
    """Feed all of it, with a calibration loop before and after."""
    collect_seldom()  # as the operators do
    before_s = calibration_s()
    began = time.process_time()
    _feed(run, made)
    cpu_s = time.process_time() - began
    return Timed(len(made), cpu_s, (before_s + calibration_s()) / 2)


def _feed(run: LocalRun, made: Records) -> None:
    feed = run.feed
    for key, time_ms, payload in made:
        feed(key, time_ms, payload)


def _hot_customer(window: int, timed: int) -> Records:
    """Visits of ten views, so far apart that a window of 90 days holds `window` events, and `timed` more."""
    rest_ms = HOT_WINDOW_MS * VISIT_EVENTS // window
    step_ms = min(VISIT_STEP_MS, rest_ms // VISIT_EVENTS)
    made: Records = []
    for at in range(window + timed):
        visit, place = divmod(at, VISIT_EVENTS)
        time_ms = START_MS + visit * rest_ms + place * step_ms
        line = (
            f'{{"event_id":"e{at}","type":"product_viewed","timestamp":{time_ms},"customer_id":"hot",'
            f'"session_id":"s{visit}","product_id":"p{at % 500}","category":"c{at % 24}","price":9.99}}'
        )
        made.append(("hot", time_ms, b"\x1f" + line.encode()))
    assert made[-1][1] < time.time() * 1_000, "events in the future would be rejected, at no cost"
    return made


def _quantile(ordered: Sequence[int], share: float) -> int:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


if __name__ == "__main__":
    main()
