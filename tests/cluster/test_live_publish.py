"""Live equals backfill: the same events through Kafka and over files, as of one moment, give identical exports."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.request import urlopen

import msgspec
import pytest
import redis

from jobs.stack.stack import Stack
from tests.cluster.live_jobs import LiveJob, live_job
from tests.cluster.publishing import assert_same, exported, publish, replay
from tests.cluster.waiting import until
from tests.end_to_end.segmill_runs import HARD, accepted, segmill, time_of, write

pytestmark = pytest.mark.cluster

SHOP = msgspec.structs.replace(HARD, events=4_000, customers=250, products=80)


@pytest.fixture(scope="module")
def job(stack: Stack) -> Iterator[LiveJob]:
    with live_job(stack) as job:
        yield job


def profile_times(live: Path) -> set[int]:
    return {json.loads(line)["as_of_ms"] for line in (live / "profiles.jsonl").read_bytes().splitlines()}


def task_managers(job: LiveJob) -> dict[str, str]:
    """By the first operator of a task, where its subtask runs; of tasks with one."""
    rest = f"{job.stack.plan.rest}/jobs/{job.job_id}"
    with urlopen(rest) as answer:  # noqa: S310  (http, loopback)
        vertices = json.load(answer)["vertices"]
    places = {}
    for vertex in vertices:
        with urlopen(f"{rest}/vertices/{vertex['id']}/taskmanagers") as answer:  # noqa: S310
            places[vertex["name"].split(" ")[0]] = json.load(answer)["taskmanagers"][0]["taskmanager-id"]
    return places


class TestLiveEqualsBackfill:
    """A log that is shuffled by a day, with duplicates, malformed lines, and refunds before their orders."""

    def test_asked_for_long_before_and_across_a_restart(self, job: LiveJob, log: Path, tmp_path: Path) -> None:
        """Before the first event; in the middle of the log one subtask stops and two go on. All as of one moment."""
        as_of_ms = max(map(time_of, accepted(log))) + 2_000
        lines = log.read_bytes().splitlines()
        halves = [write(tmp_path / name, part) for name, part in (("a", lines[:2_000]), ("b", lines[2_000:]))]
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(publish, job, "--at", as_of_ms)
            replay(job, halves[0])
            job.await_all_read()
            savepoint = job.stop()
            job.options = ("--parallelism", "2")
            job.submit("--from-savepoint", savepoint)
            replay(job, halves[1])
            written = asked.result()
        live = exported(job, tmp_path / "live")
        assert written["written_ms"] == written["as_of_ms"] == as_of_ms
        assert_same(live, log, as_of_ms, tmp_path)
        assert profile_times(live) == {as_of_ms}
        assert not [one for one in job.rejected() if one["reason"] == "too_late"]
        assert job.restarts() == 0

    def test_as_of_now(self, job: LiveJob, log: Path, tmp_path: Path) -> None:
        """As soon as the job reads it; a moment that has passed is the same."""
        for name, more in (("now", ()), ("past", ("--at", min(map(time_of, accepted(log)))))):
            as_of_ms = publish(job, *more)["written_ms"]
            live = exported(job, tmp_path / name)
            assert_same(live, log, as_of_ms, tmp_path / f"run-{name}")

    def test_back_at_one_subtask_with_items_apart_into_a_redis_that_has_lost_everything(
        self, job: LiveJob, log: Path, tmp_path: Path
    ) -> None:
        """It is filled again, without replaying anything; customers and items are in different TaskManagers."""
        savepoint = job.stop()
        client = redis.Redis.from_url(job.redis_url)
        for key in client.scan_iter(f"{job.prefix}*"):
            client.delete(key)
        job.options = ("--parallelism", "1", "--items-apart")
        job.submit("--from-savepoint", savepoint)
        places = task_managers(job)
        assert places["customer"] != places["item"] == places["publish"]
        until(lambda: bool(client.exists(f"{job.prefix}meta")), "the job knows what time it is")
        as_of_ms = publish(job)["written_ms"]
        live = exported(job, tmp_path / "live")
        assert_same(live, log, as_of_ms, tmp_path)
        shown = segmill("control", "show", "--bootstrap", job.bootstrap, "--topic-prefix", job.topics.prefix, "--json")
        assert [json.loads(line)["kind"] for line in shown.stdout.splitlines()] == ["publish"] * 4
        assert job.restarts() == 0
