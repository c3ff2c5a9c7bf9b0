"""The whole embedded job: files to Flink to files and an embedded Valkey, as `segmill run` does it.

    python -m benchmarks.embedded [--events 300000] [--repeat 3]

Two logs of the default mix are run in turn: an even one, and one in which a single customer has a third of the events.
Steady: events between 20 % and 90 % of the log, by the wall clock. Whole run: all events by the time from the first
read to the last result, the start of Java and Flink included.
"""

import argparse
import os
import resource
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.alone import alone
from benchmarks.marks import STEADY_FROM, STEADY_TO
from benchmarks.results import Results
from benchmarks.workload import HOT_SHARE, log_file
from jobs.run import Progress, RunPlan, run
from jobs.runtime.workspace import workspace
from schemas.logs import open_log
from schemas.settings import Settings
from state.rules.ruleset import load_rules

ENDED = 0.999


@dataclass(slots=True)
class Watched:
    """(time, events) as a job tells them, and what follows from them."""

    total: int
    java: int | None = None
    """Java's process, if its CPU time is to be told as well."""
    seen: list[tuple[float, int]] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)

    def note(self, events: int) -> None:
        """So many are through now."""
        self.seen.append((time.monotonic(), events))
        self.cpu_s.append(process_cpu_s(self.java) if self.java is not None else 0.0)

    def steady_per_s(self) -> float:
        """Events per second between 20 % and 90 % of the log."""
        first, last = self._steady()
        return (self.seen[last][1] - self.seen[first][1]) / (self.seen[last][0] - self.seen[first][0])

    def overall_per_s(self) -> float:
        """Events per second from the first ones that were through to the last."""
        return self.total / (self.ended_s() - self.first_s())

    def steady_cpu_us(self) -> float:
        """Java's CPU time per event, in microseconds, between 20 % and 90 % of the log."""
        first, last = self._steady()
        return (self.cpu_s[last] - self.cpu_s[first]) / (self.seen[last][1] - self.seen[first][1]) * 1e6

    def _steady(self) -> tuple[int, int]:
        first = next(at for at, one in enumerate(self.seen) if one[1] >= STEADY_FROM * self.total)
        last = max(at for at, one in enumerate(self.seen) if one[1] <= STEADY_TO * self.total)
        if self.seen[last][1] <= self.seen[first][1]:
            raise ValueError("too few events for a steady rate: take --events 50000 or more")
        return first, last

    def first_s(self) -> float:
        """When the first events were through."""
        return next(at for at, events in self.seen if events)

    def ended_s(self) -> float:
        """When all events were through, and what comes at the end began."""
        return next(at for at, events in self.seen if events >= ENDED * self.total)


class Phases(Progress):
    """When what began."""

    def __init__(self, total: int) -> None:
        self.watched = Watched(total)
        self.began_s = time.monotonic()
        self.read_s = 0.0

    def processing(self, events: int, total: int) -> None:
        """The job goes on; it is told first right after it was submitted."""
        self.read_s = self.read_s or time.monotonic()
        self.watched.note(events)


@dataclass(frozen=True, slots=True)
class Measured:
    """One run."""

    steady_per_s: float
    whole_per_s: float
    cpu_us: float
    """CPU of Java and Valkey per event, start and end included."""
    reading_s: float
    start_s: float
    end_s: float


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description="The whole embedded job.")
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    results = Results("embedded", "The whole embedded job, even log and hot customer in turn", vars(options))
    with TemporaryDirectory(prefix="segmill-bench-") as name:
        even = log_file(Path(name), options.events)
        hot = log_file(Path(name), options.events, HOT_SHARE)
        runs = [
            (alone(measured, even, options.events), alone(measured, hot, options.events)) for _ in range(options.repeat)
        ]
    evens, hots = [one for one, _ in runs], [one for _, one in runs]
    _add(results, "even log", evens)
    _add(results, "hot customer", hots)
    results.add(
        "steady, hot customer / even log", "ratio", *(hot.steady_per_s / even.steady_per_s for even, hot in runs)
    )
    results.finish()


def measured(log: Path, events: int) -> Measured:
    """Run the job on a log, in a folder of its own."""
    before = _children_cpu_s()
    with workspace() as folder:
        phases = Phases(events)
        plan = RunPlan(open_log([log]), Settings(), True, load_rules(None), folder / "out")
        summary = run(plan, folder, phases)
        ended_s = time.monotonic()
    assert summary.read == events
    watched = phases.watched
    return Measured(
        watched.steady_per_s(),
        events / summary.wall_s,
        (_children_cpu_s() - before) / events * 1e6,
        phases.read_s - phases.began_s,
        watched.first_s() - phases.read_s,
        ended_s - watched.ended_s(),
    )


def _add(results: Results, log: str, runs: list[Measured]) -> None:
    results.add(f"steady, {log}", "events/s", *(one.steady_per_s for one in runs))
    results.add(f"whole run with start, {log}", "events/s", *(one.whole_per_s for one in runs))
    results.add("  CPU of Java and Valkey, whole run", "us/event", *(one.cpu_us for one in runs))
    results.add("  reading the log, while Java starts", "s", *(one.reading_s for one in runs))
    results.add("  until the first events are through", "s", *(one.start_s for one in runs))
    results.add("  after the last event: final profiles, items, snapshot", "s", *(one.end_s for one in runs))


def process_cpu_s(pid: int) -> float:
    """CPU seconds of a running process, all its threads (Linux)."""
    return cpu_s(Path(f"/proc/{pid}"))


def cpu_s(folder: Path) -> float:
    """CPU seconds of the process or thread of this folder in /proc."""
    fields = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
