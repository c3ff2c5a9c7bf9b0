"""Savepoints of releases before: a job goes on from each, at another parallelism, as if it had never stopped."""

import gzip
import json
from pathlib import Path

import pytest

from jobs.stack.stack import Stack
from schemas.decode import Decoder
from schemas.facts import Kind
from schemas.settings import HOUR_MS, Settings
from tests.cluster.live_jobs import LiveJob, cancelled, lines
from tests.cluster.publishing import assert_same, exported, publish
from tests.cluster.stored_savepoint import FOLDER, PARTITIONS, PREFIX, filled
from tests.end_to_end.segmill_runs import EXPORTS, write

pytestmark = pytest.mark.cluster
VERSIONS = sorted(path.name for path in FOLDER.iterdir())
UNKNOWN = {"0.1": ("experiments.jsonl",)}
"""What a release did not count yet: nobody can know it of what came before."""


def busiest(log: list[bytes]) -> tuple[str, int, int]:
    """Of the customer with most views: id, number of views, time of the last event of all (ms)."""
    facts = [Decoder(Settings()).decode(line) for line in log]
    viewed = [subject for subject, fact in facts if fact.kind == Kind.PRODUCT_VIEWED]
    customer = max(sorted(set(viewed)), key=viewed.count)
    return customer, viewed.count(customer), max(fact.time_ms for _, fact in facts)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_stored_savepoint_is_restored(stack: Stack, version: str, tmp_path: Path) -> None:
    """What it knew is added to what comes: nothing is forgotten, and nothing is read twice."""
    log = FOLDER / version / "log.jsonl.gz"
    customer, views, newest_ms = busiest(gzip.decompress(log.read_bytes()).splitlines())
    job = LiveJob(stack, prefix=PREFIX)
    job.make_topics(PARTITIONS)
    filled(job, log)
    with cancelled(job):
        job.submit("--from-savepoint", FOLDER / version / "savepoint", "--parallelism", "2")
        event = {
            "event_id": "after",
            "type": "product_viewed",
            "timestamp": newest_ms + HOUR_MS,
            "customer_id": customer,
            "product_id": "p",
        }
        raw = json.dumps(event).encode()
        job.produce((b"", raw, newest_ms + HOUR_MS))
        job.await_all_read()
        as_of_ms = publish(job, "--at", newest_ms + HOUR_MS + 2_000)["written_ms"]
        logs = log, write(tmp_path / "after.jsonl", [raw])
        known = [name for name in EXPORTS if name not in UNKNOWN.get(version, ())]
        live = exported(job, tmp_path / "live")
        assert_same(live, logs, as_of_ms, tmp_path, more_lines_than=1, names=known)  # it is a small log
        (profile,) = (one for one in lines(tmp_path / "live" / "profiles.jsonl") if one["customer_id"] == customer)
        assert profile["features"]["views_90d"] == views + 1
        assert job.restarts() == 0
