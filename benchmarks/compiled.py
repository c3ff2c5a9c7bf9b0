"""What compiling the core gives: the same events through the plain and the compiled modules, in turn.

python -m benchmarks.compiled [--events 100000] [--repeat 5]      (after `make compiled`)

Each pass is a Python of its own, in which either the checkout or the compiled tree comes first. Timed is what
`benchmarks.core` times: CPU time of the customer logic, from bytes to bytes.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.core import logic, timed
from benchmarks.results import Results
from benchmarks.workload import records
from jobs.compiled_core import FOLDER, ROOT, OtherSources, libraries
from schemas.settings import Settings
from state.customer import fold
from state.local import LocalRun

MODES = {"embedded settings": False, "live settings": True}
"""Name, and whether live."""


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description="The core compiled, beside the plain one.")
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--one-pass", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one_pass:
        print(json.dumps(_pass(options.events)))
        return
    try:
        if not libraries():
            sys.exit(f"nothing in {FOLDER}: make compiled")
    except OtherSources as other:
        sys.exit(str(other))
    results = Results("compiled", "The core compiled, one core", {"events": options.events, "repeat": options.repeat})
    pairs = [(_alone(ROOT, options.events), _alone(FOLDER, options.events)) for _ in range(options.repeat)]
    for mode in MODES:
        results.add(f"plain, {mode}", "us/event", *(plain[mode] for plain, _ in pairs))
        results.add(f"compiled, {mode}", "us/event", *(compiled[mode] for _, compiled in pairs))
        results.add("  of the plain time, pair by pair", "share", *(two[mode] / one[mode] for one, two in pairs))
    results.finish()


def _alone(tree: Path, events: int) -> dict[str, float]:
    """One pass with the modules of `tree`, in a process of its own: CPU microseconds per event, by mode."""
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "benchmarks.compiled", "--one-pass", "--events", str(events)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(tree), str(ROOT)))},
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, float] = json.loads(ran.stdout)
    assert Path(str(found.pop("from"))).parents[2] == tree, "these are not the modules that were to be measured"
    return found


def _pass(events: int) -> dict[str, float | str]:
    made = records(events)
    newest_ms = max(time_ms for _, time_ms, _ in made)
    found: dict[str, float | str] = {"from": str(fold.__file__)}
    for mode, live in MODES.items():
        run = LocalRun(logic(live=live, as_of_ms=newest_ms), Settings().out_of_orderness_ms)
        found[mode] = timed(run, made).us
    return found


if __name__ == "__main__":
    main()
