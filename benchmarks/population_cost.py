"""What the population costs: the core, the embedded job and the live job with it and without it, in turn.

    python -m benchmarks.population_cost [--events 200000] [--repeat 2] [--parts core embedded live]

Core: CPU time of one process, no engine. Embedded: steady rate of `segmill run`. Live: from the first event of a topic
to the last, parallelism 2, everything on, which in this replay of 60 days also takes part in learning at full speed:
a job that follows its topic has the same work for a customer and event, and none to catch up with.
"""

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.alone import alone
from benchmarks.embedded import Phases
from benchmarks.kafka_peers import PARTITIONS, PLAN
from benchmarks.kafka_segmill import live_spec, make_topics, whole
from benchmarks.results import Results
from benchmarks.topic import fill
from benchmarks.workload import Records, log_file, records
from jobs.factories import make_customer_logic
from jobs.local_population import local_logics
from jobs.run import RunPlan, run
from jobs.runtime.workspace import workspace
from jobs.stack.stack import Stack
from operators.garbage import collect_seldom
from schemas.logs import open_log
from schemas.settings import Settings
from state.local import LocalRun
from state.local_population import LocalPopulation
from state.rules.ruleset import load_rules

PARTS = ("core", "embedded", "live")
WITH, WITHOUT = Settings(population={"enabled": True}), Settings()
NAMES = (("without a population", WITHOUT), ("with it", WITH))


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description="What the population costs.")
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args()
    results = Results("population_cost", "What the population costs", vars(options))
    made = records(options.events)
    if "core" in options.parts:
        _core(results, made, options.repeat)
    with TemporaryDirectory(prefix="segmill-bench-") as name:
        if "embedded" in options.parts:
            _embedded(results, log_file(Path(name), options.events), options.events, options.repeat)
        if "live" in options.parts:
            stack = Stack(Path(name) / "stack", owned=True)
            try:
                stack.up(PLAN)
                _live(results, stack, Path(name), made, options.repeat)
            finally:
                stack.down(wipe=True)
    results.finish()


def _core(results: Results, made: Records, repeat: int) -> None:
    found = {name: [alone(core_us, made, settings) for _ in range(repeat)] for name, settings in NAMES}
    for name, times in found.items():
        results.add(f"core, {name}", "us/event", *times)
    _ratio(results, "core", *([1 / us for us in times] for times in found.values()))


def core_us(made: Records, settings: Settings) -> float:
    """CPU time per event of a run that ends."""
    as_of_ms, rules = max(time_ms for _, time_ms, _ in made), load_rules().text
    whole: LocalRun | LocalPopulation
    if settings.population:
        whole = LocalPopulation(local_logics(settings, rules, as_of_ms), settings.out_of_orderness_ms)
    else:
        customers = make_customer_logic(settings, rules, "rules", as_of_ms)
        whole = LocalRun(customers, settings.out_of_orderness_ms)
    collect_seldom()
    began_s = time.process_time()
    for subject, time_ms, payload in made:
        whole.feed(subject, time_ms, payload)
    for _ in whole.close():
        pass
    return (time.process_time() - began_s) / len(made) * 1e6


def _embedded(results: Results, log: Path, events: int, repeat: int) -> None:
    found: dict[str, list[tuple[float, float]]] = {name: [] for name, _ in NAMES}
    for _ in range(repeat):
        for name, settings in NAMES:
            found[name].append(alone(embedded, log, events, settings))
    for name, rates in found.items():
        results.add(f"embedded job, {name}: steady", "events/s", *(steady for steady, _ in rates))
        results.add(f"  embedded job, {name}: whole run with start", "events/s", *(rate for _, rate in rates))
    _ratio(results, "embedded job", *([steady for steady, _ in rates] for rates in found.values()))


def embedded(log: Path, events: int, settings: Settings) -> tuple[float, float]:
    """Events per second, steady and over the whole run."""
    with workspace() as folder:
        phases = Phases(events)
        summary = run(RunPlan(open_log([log]), settings, True, load_rules(None), folder / "out"), folder, phases)
    assert summary.read == events
    return phases.watched.steady_per_s(), events / summary.wall_s


def _live(results: Results, stack: Stack, folder: Path, made: Records, repeat: int) -> None:
    found: dict[str, list[float]] = {name: [] for name, _ in NAMES}
    for number in range(repeat):
        for at, (name, settings) in enumerate(NAMES):
            spec = live_spec(stack, f"population{number}-{at}.", 2, settings)
            make_topics(spec, PARTITIONS)
            fill(stack.plan.bootstrap, spec.topics.events.name, made)
            found[name].append(alone(whole, spec, stack, folder, len(made)).overall_per_s())
    for name, rates in found.items():
        results.add(f"live job, {name}", "events/s", *rates)
    _ratio(results, "live job", *found.values())


def _ratio(results: Results, what: str, without: list[float], with_it: list[float]) -> None:
    ratios = [one / other for one, other in zip(with_it, without, strict=True)]
    results.add(f"{what}, with a population / without", "ratio", *ratios)


if __name__ == "__main__":
    main()
