"""The same customer logic in Bytewax 0.21 and in the embedded Flink job, in turn, on the same log.

    python -m benchmarks.bytewax_peer [--events 200000] [--repeat 3] [--python .bench-venv/bin/python]

Both: one worker thread, the same log, the same functions (`CustomerLogic` with its default rules and cache), the same
outputs up to where they leave the step; the number of segment changes must be equal. See benchmarks/README.md for what
differs.
"""

import argparse
import json
import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.alone import alone
from benchmarks.embedded import Watched
from benchmarks.layers import spooled, watched_job
from benchmarks.results import Results
from benchmarks.workload import log_file
from state.channels import Channel


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description="Bytewax with the same functions.")
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--python", type=Path, default=Path(".bench-venv/bin/python"))
    options = parser.parse_args()
    kept = {"events": options.events, "repeat": options.repeat, "bytewax": _bytewax_version(options.python)}
    results = Results("bytewax_peer", "The same customer logic in Bytewax and in the embedded job", kept)
    job: list[Watched] = []
    plain: list[dict[str, Any]] = []
    recovering: list[dict[str, Any]] = []
    with TemporaryDirectory(prefix="segmill-bench-") as name:
        folder = Path(name)
        log = log_file(folder, options.events)
        spool, newest_ms = spooled(log, folder)
        for number in range(options.repeat):
            job.append(alone(watched_job, spool, options.events, newest_ms, "customer"))
            plain.append(_bytewax(options.python, log, newest_ms, options.events))
            recovery = folder / f"recovery-{number}"
            recovery.mkdir()
            recovering.append(_bytewax(options.python, log, newest_ms, options.events, recovery))
    outputs = [one["outputs"] for one in plain + recovering]
    assert all(one == outputs[0] for one in outputs), "the same work every time"
    _add(results, "Bytewax, nothing durable", plain)
    _add(results, "Bytewax, snapshots every 10 s", recovering)
    ours = [one.steady_per_s() for one in job]
    results.add("embedded job, no items and no Redis: steady", "events/s", *ours)
    for label, theirs in (("nothing durable", plain), ("snapshots every 10 s", recovering)):
        ratios = [mine / one["steady_per_s"] for mine, one in zip(ours, theirs, strict=True)]
        results.add(f"embedded job / Bytewax, {label}", "ratio", *ratios)
    results.notes.append(f"Outputs of Bytewax: {outputs[0]}")
    results.finish()


def _add(results: Results, name: str, runs: list[dict[str, Any]]) -> None:
    events = results.options["events"]
    assert isinstance(events, int)
    results.add(f"{name}: steady", "events/s", *(one["steady_per_s"] for one in runs))
    results.add("  whole run", "events/s", *(events / one["wall_s"] for one in runs))
    results.add("  CPU, whole run", "us/event", *(one["cpu_s"] / events * 1e6 for one in runs))


def _bytewax(python: Path, log: Path, newest_ms: int, events: int, recovery: Path | None = None) -> dict[str, Any]:
    command = [str(python), "-m", "benchmarks.bytewax_flow", str(log), str(newest_ms), str(events)]
    if recovery is not None:
        command.append(str(recovery))
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    finished = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    assert found["outputs"][Channel.SEGMENT_CHANGE.name] > 0
    return found


def _bytewax_version(python: Path) -> str:
    code = "from importlib.metadata import version; print(version('bytewax'))"
    return subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()
