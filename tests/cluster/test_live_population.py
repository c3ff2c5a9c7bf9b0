"""The population of a live job: own facts as without one, segments that ask about it, and nothing lost on the way."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from jobs.stack.stack import Stack
from schemas.profiles import unpack_versioned
from state.rules.ruleset import load_rules
from tests.cluster.live_jobs import LiveJob, by_customer, cancelled, folded, lines, newest_of_each
from tests.cluster.publishing import exported, publish, replay
from tests.cluster.records import records
from tests.cluster.waiting import until
from tests.end_to_end.segmill_runs import HARD, accepted, run, time_of, write

pytestmark = pytest.mark.cluster

SHOP = msgspec.structs.replace(HARD, events=4_000, customers=250, products=80)
POPULATION = """
[population]
gather_every_ms = 3_600_000

[population.clusters]
seed_at = 60
"""
ASKING = set(load_rules().remainder.names)


@pytest.fixture(scope="module")
def written(stack: Stack, log: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LiveJob, Path, int]]:
    """A job that has read half of a log at one subtask, and the other, from a savepoint, at two; its export as of T.

    In the middle of the second half a TaskManager is killed.
    """
    job = LiveJob(stack, options=("--population",))
    with job.settings_file.open("a", encoding="utf-8") as settings:
        settings.write(POPULATION)
    job.make_topics()
    folder = tmp_path_factory.mktemp("population")
    raws = log.read_bytes().splitlines()
    halves = [write(folder / name, part) for name, part in (("a", raws[:2_000]), ("b", raws[2_000:]))]
    with cancelled(job):
        job.submit()
        replay(job, halves[0])
        job.await_all_read()
        savepoint = job.stop()
        job.submit("--from-savepoint", savepoint, "--parallelism", "2")
        replay(job, halves[1])
        stack.kill("taskmanager-1")
        stack.start("taskmanager-1")
        job.await_all_read()
        as_of_ms = publish(job, "--at", max(map(time_of, accepted(log))) + 2_000)["written_ms"]
        job.next_checkpoints()
        yield job, exported(job, folder / "live"), as_of_ms


def profiles(export: Path) -> dict[str, dict[str, Any]]:
    return {line["customer_id"]: line for line in lines(export / "profiles.jsonl")}


def models(job: LiveJob) -> list[dict[str, Any]]:
    return [json.loads(one.value()) for one in records(job.bootstrap, job.topics.models.name)]


class TestOwnFacts:
    def test_as_a_run_over_the_files(self, written: tuple[LiveJob, Path, int], log: Path, tmp_path: Path) -> None:
        """Features, and segments that do not ask about the population, of every customer."""
        _, export, as_of_ms = written
        expected = profiles(run(tmp_path, log, "--as-of", as_of_ms).export)
        found = profiles(export)
        assert found.keys() == expected.keys()
        assert len(found) > 50
        for customer, profile in found.items():
            own = {name: value for name, value in profile["features"].items() if not name.startswith("rfm_")}
            assert own == expected[customer]["features"]
            assert [name for name in profile["segments"] if name not in ASKING] == expected[customer]["segments"]


class TestPopulation:
    def test_all_tell_the_same(self, written: tuple[LiveJob, Path, int]) -> None:
        """Committed changes, the topics of memberships, the sets in Redis and the profiles."""
        job, export, _ = written
        members = folded(job.changes_said())
        assert {segment for _, segment in members} >= ASKING - {"vip"}
        until(lambda: job.memberships_in_redis() == members, "Redis has the memberships")
        own, asking = (
            by_customer({one: at_ms for one, at_ms in members.items() if (one[1] in ASKING) is asks})
            for asks in (False, True)
        )
        topics = {job.topics.segment_memberships: own, job.topics.population_memberships: asking}
        for topic, expected in topics.items():
            told = newest_of_each(records(job.bootstrap, topic.name))
            assert {customer: record["segments"] for customer, record in told.items()} == expected
        assert {customer: sorted(since) for customer, since in by_customer(members).items()} == {
            customer: profile["segments"] for customer, profile in profiles(export).items() if profile["segments"]
        }

    def test_entries_and_exits_take_turns(self, written: tuple[LiveJob, Path, int]) -> None:
        """In each segment that asks about the population; nobody enters twice, though servers died."""
        job, _, _ = written
        turns: dict[tuple[str, str], list[str]] = {}
        for change in job.changes_said():
            if change["segment"] in ASKING:
                turns.setdefault((change["customer_id"], change["segment"]), []).append(change["change"])
        assert turns
        for changes in turns.values():
            assert changes == ["entered", "left"] * (len(changes) // 2) + ["entered"] * (len(changes) % 2)

    def test_views_are_said_once_each(self, written: tuple[LiveJob, Path, int]) -> None:
        """One after the other, across a savepoint and a killed server; Redis has the newest."""
        job, _, _ = written
        views = [record for record in models(job) if record["kind"] == "view"]
        assert [view["view"] for view in views] == list(range(1, len(views) + 1))
        assert len(views) > 1
        client = redis.Redis.from_url(job.redis_url)
        kept = unpack_versioned(client.get(f"{job.prefix}model:clusters"))
        assert kept is not None
        assert kept["view"] == views[-1]["view"]
        assert kept["clusters"] == views[-1]["clusters"]

    def test_high_value(self, written: tuple[LiveJob, Path, int]) -> None:
        """Whoever has spent more than the threshold of the newest view is in it."""
        job, export, _ = written
        (threshold,) = [
            record["percentiles"]["revenue_total_cents"]["points"]["80"]
            for record in models(job)
            if record["kind"] == "view"
        ][-1:]
        above = {
            customer
            for customer, profile in profiles(export).items()
            if profile["features"]["revenue_total_cents"] > threshold
        }
        assert above
        assert above <= {customer for customer, one in profiles(export).items() if "high-value" in one["segments"]}

    def test_everybody_has_a_cluster(self, written: tuple[LiveJob, Path, int]) -> None:
        """Of the newest model."""
        job, export, _ = written
        known = {one["id"] for one in [record for record in models(job) if record["kind"] == "view"][-1]["clusters"]}
        for profile in profiles(export).values():
            assert profile["cluster"]["id"] in known
            assert sum(profile["cluster"]["probabilities"].values()) == pytest.approx(1, abs=0.001)
