"""A savepoint of a release, kept for the tests of the releases that follow.

    python -m tests.cluster.stored_savepoint VERSION

starts a stack, lets a live job of this release read a small log, stops it, and keeps what it leaves in
`tests/cluster/savepoints/VERSION`, the log beside it. To be called once for each release whose state differs.
"""

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from jobs.simulation.log import write_log
from jobs.simulation.settings import SimulationSettings
from jobs.stack.stack import Stack
from tests.cluster.live_jobs import LiveJob
from tests.cluster.ports import free_plan
from tests.end_to_end.segmill_runs import segmill

FOLDER = Path(__file__).parent / "savepoints"
PREFIX = "stored."
"""Of the topics: the savepoint knows their names and how far they were read."""
PARTITIONS = 2
SHOP = SimulationSettings(events=400, customers=25, products=40, days=45)


def filled(job: LiveJob, log: Path) -> None:
    """The topic of events with a log in it; the same log gives the same offsets."""
    said = segmill("replay", log, "--topic", job.topics.events.name, "--bootstrap", job.bootstrap)
    assert said.returncode == 0, said.stderr


def main(version: str) -> None:
    """Make and keep it."""
    kept = FOLDER / version
    kept.mkdir(parents=True)
    log = kept / "log.jsonl.gz"
    write_log(SHOP, log)
    (kept / "truth.json").unlink()
    with TemporaryDirectory() as folder:
        stack = Stack(Path(folder) / "stack", owned=True)
        try:
            stack.up(free_plan(task_managers=1))
            job = LiveJob(stack, prefix=PREFIX)
            job.make_topics(PARTITIONS)
            filled(job, log)
            job.submit()
            job.await_all_read()
            savepoint = job.stop()
            shutil.copytree(savepoint.removeprefix("file:"), kept / "savepoint")
        finally:
            stack.down(wipe=True)
    print(kept, sum(path.stat().st_size for path in kept.rglob("*") if path.is_file()), "bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
