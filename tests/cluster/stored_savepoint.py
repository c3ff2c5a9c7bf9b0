"""A savepoint of a release, kept for the tests of the releases that follow.

    python -m tests.cluster.stored_savepoint VERSION [population]

starts a stack, lets a live job of this release read a small log, stops it, and keeps what it leaves in
`tests/cluster/savepoints/VERSION` or `VERSION-population`, the log beside it. To be called once for each release whose
state differs.
"""

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from msgspec.structs import replace

from jobs.simulation.log import write_log
from jobs.simulation.settings import SimulationSettings
from jobs.stack.stack import Stack
from tests.cluster.live_jobs import LiveJob, newest_of_each
from tests.cluster.ports import free_plan
from tests.cluster.records import records
from tests.end_to_end.segmill_runs import segmill

FOLDER = Path(__file__).parent / "savepoints"
PARTITIONS = 2
SHOP = SimulationSettings(events=400, customers=25, products=40, days=45)


@dataclass(frozen=True)
class Kind:
    """How a job was submitted, and is again."""

    shop: SimulationSettings
    options: tuple[str, ...] = ()
    settings: str = ""

    def job(self, stack: Stack, version: str) -> LiveJob:
        """A job of this kind, with its topics: the savepoint knows their names and how far they were read."""
        job = LiveJob(stack, prefix=_EARLIEST.get(version, f"stored-{version}."), options=self.options)
        with job.settings_file.open("a", encoding="utf-8") as settings:
            settings.write(self.settings)
        job.make_topics(PARTITIONS)
        return job


PLAIN = Kind(SHOP)
POPULATION = Kind(
    replace(SHOP, events=800, customers=70),
    ("--population",),
    """
[population]
gather_every_ms = 3_600_000

[population.clusters]
k_min = 3
k_max = 3
seed_at = 16
least_size = 3

[population.percentiles]
least_count = 5
tolerance = 0.0
rank_tolerance = 0.0
interval_ms = 1

[population.scores]
examples_min = 20
each_min = 2
""",
)
"""So small a shop has clusters and thresholds; these are said whenever they move."""
_EARLIEST = {"0.1": "stored.", "0.1-population": "stored-population."}
"""Prefixes of topics by the name of a folder, where they are others than now."""


def kind_of(version: str) -> Kind:
    """By the name of a folder of savepoints."""
    return POPULATION if version.endswith("-population") else PLAIN


def savepoint_of(version: str, folder: Path) -> Path:
    """Where a stored savepoint is, unpacked below `folder` if need be."""
    kept = FOLDER / version
    if (kept / "savepoint").is_dir():
        return kept / "savepoint"
    shutil.unpack_archive(kept / "savepoint.tar.xz", folder / "savepoint", filter="data")
    return folder / "savepoint"


def filled(job: LiveJob, log: Path) -> None:
    """The topic of events with a log in it; the same log gives the same offsets."""
    said = segmill("replay", log, "--topic", job.topics.events.name, "--bootstrap", job.bootstrap)
    assert said.returncode == 0, said.stderr


def newest_view(job: LiveJob) -> dict[str, Any]:
    """The record of the `models` topic that has the highest number."""
    told = (json.loads(one.value()) for one in records(job.bootstrap, job.topics.models.name))
    return dict(max((one for one in told if one["kind"] == "view"), key=lambda view: view["view"]))


def _told(job: LiveJob) -> dict[str, Any]:
    """What was said of the population before the savepoint: a job that goes on from it does not say it again."""
    members = newest_of_each(records(job.bootstrap, job.topics.population_memberships.name))
    segments = {customer: record["segments"] for customer, record in sorted(members.items())}
    return {"view": newest_view(job), "segments": segments}


def main(version: str, *more: str) -> None:
    """Make and keep it."""
    name = "-".join((version, *more))
    kept = FOLDER / name
    kept.mkdir(parents=True)
    log = kept / "log.jsonl.gz"
    write_log(kind_of(name).shop, log)
    (kept / "truth.json").unlink()
    with TemporaryDirectory() as folder:
        stack = Stack(Path(folder) / "stack", owned=True)
        try:
            stack.up(free_plan(task_managers=1))
            job = kind_of(name).job(stack, name)
            filled(job, log)
            job.submit()
            job.await_all_read()
            savepoint = job.stop()
            shutil.make_archive(str(kept / "savepoint"), "xztar", savepoint.removeprefix("file:"))
            if more:
                (kept / "told.json").write_text(json.dumps(_told(job), indent=1) + "\n", encoding="utf-8")
        finally:
            stack.down(wipe=True)
    print(kept, sum(path.stat().st_size for path in kept.rglob("*") if path.is_file()), "bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
