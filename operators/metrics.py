"""Metrics of the operators, through Flink's metric system: to any reporter of the cluster, Prometheus for one.

An operator counts in plain Python and now and then brings Flink's own counters up to date. Never by PyFlink's gauges,
which the reporter's thread would call: in thread mode that is a second thread in the same Python, and Java crashes
(PyFlink 2.3: SIGSEGV in take_gil after seconds of scraping). Flink's counters are Java's own and may be read any time.

Distributions are counts of values up to a bound (`le`), as Prometheus' histograms: they add up over subtasks, and
quantiles come of them by `histogram_quantile`. docs/metrics.md has every name.
"""

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from state.tally import AssignTally, ControlTally, CustomerTally, MergerTally

GROUP = "segmill"
Total = tuple[tuple[str, ...], int]
"""(labels as name, value, name, value, ..., and the metric's name last; the total since the operator was opened)."""

DURATIONS_MS = (1, 2, 5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 750, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000)
SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 511, 512)
"""Writes of a batch; RedisBatching's most is 512."""
HISTORY_MS = 3_600_000
"""Records that are older than that when they are read are history, replayed: how late they are says nothing."""
_EVERY_S = 0.2


class Distribution:
    """How many values were at most as large as each bound."""

    def __init__(self, name: str, bounds: tuple[int, ...]) -> None:
        """`bounds` rise; what is above the last one counts under `+Inf`."""
        self._bounds, self._counts, self._sum = bounds, [0] * (len(bounds) + 1), 0
        self._paths = [("le", str(bound), f"{name}_bucket") for bound in (*bounds, "+Inf")]
        self._sum_path, self._count_path = (f"{name}_sum",), (f"{name}_count",)

    def add(self, value: int, times: int = 1) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += times
        self._sum += value * times

    def totals(self) -> Iterator[Total]:
        """What is to be shown."""
        count = 0
        for path, here in zip(self._paths, self._counts, strict=True):
            count += here
            yield path, count
        yield self._sum_path, self._sum
        yield self._count_path, count


class Exporter:
    """Keeps Flink's counters at the totals that it is told; where the engine has no metrics nothing happens."""

    def __init__(self, runtime_context: Any) -> None:
        """To be called from an operator's `open`."""
        try:
            self._group = runtime_context.get_metrics_group().add_group(GROUP)
        except (AttributeError, RuntimeError):  # none in tests, or switched off (python.metric.enabled)
            self._group = None
        self._shown: dict[tuple[str, ...], tuple[Any, int]] = {}

    def show(self, totals: Iterable[Total]) -> None:
        """Bring the counters up to date; about a microsecond for each that has moved."""
        if self._group is None:
            return
        shown = self._shown
        for path, total in totals:
            counter, before = shown.get(path) or (self._counter(path), 0)
            if total != before or path not in shown:
                counter.inc(total - before)
                shown[path] = (counter, total)

    def _counter(self, path: tuple[str, ...]) -> Any:
        group = self._group
        for label, value in zip(path[:-1:2], path[1:-1:2], strict=True):
            group = group.add_group(label, value)
        return group.counter(path[-1])


class NowAndThen:
    """Brings counters up to date every fifth of a second while anything is done."""

    def __init__(self, show: Callable[[], None]) -> None:
        self._show, self._due_s = show, 0.0

    def __call__(self) -> None:
        """Something was done."""
        now_s = time.monotonic()
        if now_s >= self._due_s:
            self._due_s = now_s + _EVERY_S
            self._show()


class ControlMetrics:
    """What the CONTROL operator shows; records come seldom, so each is shown at once."""

    def __init__(self, runtime_context: Any, tally: ControlTally) -> None:
        """`tally`: what the logic counts with."""
        self._tally, self._exporter = tally, Exporter(runtime_context)
        self.show()

    def show(self) -> None:
        """Bring the counters up to date."""
        self._exporter.show(_rejected(self._tally.rejected))


class CustomerMetrics:
    """What the CUSTOMER operator shows."""

    def __init__(self, runtime_context: Any, tally: CustomerTally) -> None:
        """`tally`: what the logic counts with."""
        self._tally, self._exporter = tally, Exporter(runtime_context)
        self._delay = Distribution("event_to_change_ms", DURATIONS_MS)
        self._history = 0
        self._at_once = tally.at_once
        self._now_and_then = NowAndThen(self.show)
        self.show()

    def processed(self, ctx: Any) -> None:
        """A record has been processed, whose context this is."""
        if self._tally.at_once != self._at_once:
            self._measure(ctx.timestamp())
        self.passed()

    def passed(self) -> None:
        """Something was done."""
        self._now_and_then()

    def show(self) -> None:
        """Bring the counters up to date."""
        self._exporter.show(self._totals())

    def _measure(self, record_ms: int | None) -> None:
        """The record said something: how long after its own timestamp?"""
        changes, self._at_once = self._tally.at_once - self._at_once, self._tally.at_once
        delay_ms = int(time.time() * 1_000) - (record_ms or 0)
        if delay_ms > HISTORY_MS:
            self._history += changes
        else:
            self._delay.add(max(delay_ms, 0), changes)

    def _totals(self) -> Iterator[Total]:
        tally = self._tally
        for outcome in ("applied", "duplicate", "late", "suppressed"):
            yield ("outcome", outcome, "events"), getattr(tally, outcome)
        yield ("outcome", "rejected", "events"), sum(tally.rejected.values())
        yield from _rejected(tally.rejected)
        yield from _changes(tally.changes)
        yield ("profile_writes",), tally.profiles
        yield from self._delay.totals()
        yield ("changes_of_history",), self._history


class PopulationMetrics:
    """What the POPULATION operator shows; its intervals are long, so each is shown at once."""

    def __init__(self, runtime_context: Any, tally: MergerTally) -> None:
        """`tally`: what the logic counts with."""
        self._tally, self._exporter = tally, Exporter(runtime_context)
        self.show()

    def show(self) -> None:
        """Bring the counters up to date."""
        self._exporter.show(self._totals())

    def _totals(self) -> Iterator[Total]:
        yield ("population_intervals",), self._tally.intervals
        for kind, count in self._tally.events.items():
            yield ("kind", kind, "population_events"), count


class AssignMetrics:
    """What the ASSIGN operator shows."""

    def __init__(self, runtime_context: Any, tally: AssignTally) -> None:
        """`tally`: what the logic counts with."""
        self._tally, self._exporter = tally, Exporter(runtime_context)
        self.passed = NowAndThen(self.show)
        self.show()

    def show(self) -> None:
        """Bring the counters up to date."""
        self._exporter.show(self._totals())

    def _totals(self) -> Iterator[Total]:
        yield from _changes(self._tally.changes)
        yield ("population_views",), self._tally.views


class WriterMetrics:
    """What a Redis writer shows, after each batch."""

    def __init__(self, runtime_context: Any) -> None:
        """Nothing is counted yet."""
        self._exporter = Exporter(runtime_context)
        self._durations, self._sizes = Distribution("batch_ms", DURATIONS_MS), Distribution("batch_writes", SIZES)
        self._applied = self._older = self._waits = 0
        self._show()

    def waiting(self) -> None:
        """Redis did not answer, and is asked again after a pause. Shown at once: it may take long."""
        self._waits += 1
        self._show()

    def sent(self, applied: int, older: int, since_s: float) -> None:
        """A batch has been answered, which was first sent at `since_s` of the monotonic clock."""
        self._applied, self._older = self._applied + applied, self._older + older
        self._durations.add(round((time.monotonic() - since_s) * 1_000))
        self._sizes.add(applied + older)
        self._show()

    def _show(self) -> None:
        self._exporter.show(self._totals())

    def _totals(self) -> Iterator[Total]:
        yield ("result", "applied", "redis_writes"), self._applied
        yield ("result", "older", "redis_writes"), self._older
        yield ("redis_waits",), self._waits
        yield from self._durations.totals()
        yield from self._sizes.totals()


def _changes(by_segment: Mapping[tuple[str, bool], int]) -> Iterator[Total]:
    for (segment, entered), count in by_segment.items():
        yield ("segment", segment, "change", "entered" if entered else "left", "changes"), count


def _rejected(by_reason: Mapping[str, int]) -> Iterator[Total]:
    for reason, count in by_reason.items():
        yield ("reason", reason, "rejected"), count
