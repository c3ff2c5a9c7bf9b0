"""Where an event's time goes in the embedded job: the job with one layer more each time, and the differences.

    python -m benchmarks.layers [--events 150000] [--repeat 2]

Every layer is a real job on the same spool. Steady state as in `benchmarks.embedded`; the CPU time of Java's process,
which holds Python too, since it is less disturbed by other work on the machine than the wall clock is.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.alone import alone
from benchmarks.bare_logic import Nothing, StateOnly
from benchmarks.embedded import Watched
from benchmarks.results import Results
from benchmarks.workload import log_file
from jobs.intake import fill_spool
from jobs.runtime.flink import JobSpec, run_job
from jobs.runtime.gateway import Gateway
from jobs.runtime.valkey import EmbeddedValkey
from jobs.runtime.workspace import workspace
from jobs.spool import SpoolWriter
from operators.redis_connection import RedisTarget
from schemas.logs import open_log
from schemas.settings import Settings
from state.rules.ruleset import load_rules

LAYERS = {
    "engine": "engine: source, watermarks, Python called with every event",
    "state": "state: 1.5 KB written with every event",
    "customer": "customer logic, segment changes to a file",
    "items": "items: messages, sums, scores",
    "redis": "Redis: writes to an embedded Valkey",
}


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description="Where an event's time goes in the embedded job.")
    parser.add_argument("--events", type=int, default=150_000)
    parser.add_argument("--repeat", type=int, default=2)
    options = parser.parse_args()
    results = Results("layers", "Where an event's time goes in the embedded job (steady state)", vars(options))
    with TemporaryDirectory(prefix="segmill-bench-") as name:
        spool, newest_ms = spooled(log_file(Path(name), options.events), Path(name))
        rounds = [
            [alone(watched_job, spool, options.events, newest_ms, layer) for layer in LAYERS]
            for _ in range(options.repeat)
        ]
    cpu_us = [[watched.steady_cpu_us() for watched in one] for one in rounds]
    for at, layer in enumerate(LAYERS.values()):
        results.add(layer, "us CPU/event", *(one[at] - (one[at - 1] if at else 0.0) for one in cpu_us))
    results.add("all, CPU", "us CPU/event", *(one[-1] for one in cpu_us))
    results.add("all, by the wall clock", "us/event", *(1e6 / one[-1].steady_per_s() for one in rounds))
    results.finish()


def spooled(log: Path, folder: Path) -> tuple[Path, int]:
    """The spool of a log and the time of its newest event."""
    with SpoolWriter(folder / "spool") as writer:
        intake = fill_spool(open_log([log]), Settings(), writer, None)
    return writer.path, intake.newest_ms or 0


def watched_job(spool: Path, events: int, newest_ms: int, layer: str) -> Watched:
    """Run a job on a spool up to a layer of `LAYERS`."""
    with workspace() as folder, EmbeddedValkey(folder / "v") as valkey, Gateway(folder / "java") as gateway:
        gateway.connect()
        watched = Watched(events, gateway.pid)
        redis = RedisTarget(valkey.url) if layer == "redis" else None
        logics = _logics(newest_ms, layer)
        run_job(gateway, JobSpec(spool, logics, folder / "job", Settings().out_of_orderness_ms, redis), watched.note)
    return watched


def _logics(newest_ms: int, layer: str) -> Any:
    from jobs.factories import logics  # PyFlink, once Java is there
    from jobs.graph import Logics

    if layer in _BARE:
        return Logics(_BARE[layer])
    rules = load_rules()
    real = logics(Settings(), rules.text, rules.source, newest_ms)
    return replace(real, item=None, publish=None) if layer == "customer" else real


_BARE = {"engine": Nothing, "state": StateOnly}


if __name__ == "__main__":
    main()
