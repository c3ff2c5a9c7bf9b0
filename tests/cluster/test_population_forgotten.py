"""A population that is forgotten: who left is said in the topics of the job, and then all is removed."""

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from jobs.runtime.valkey import EmbeddedValkey
from jobs.topics import Topics
from operators.redis_connection import RedisConnection, RedisTarget
from schemas.headers import SCHEMA_VERSION_HEADER
from schemas.writes import meta_write, population_write
from tests.cluster.live_jobs import folded, newest_of_each
from tests.cluster.records import produce, records
from tests.end_to_end.segmill_runs import segmill

pytestmark = pytest.mark.cluster

NOW_MS = 1_740_787_200_000
SINCE_MS = {f"c{number}": {"high-value": NOW_MS - number, "vip": NOW_MS - 2 * number} for number in range(50)}


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """What a job with a population has left of fifty customers."""
    with EmbeddedValkey(tmp_path / "valkey") as server:
        connection = RedisConnection(RedisTarget(server.url))
        parts = [
            population_write(customer, 1, NOW_MS, {"segments": since}, since, ())
            for customer, since in SINCE_MS.items()
        ]
        connection.send([meta_write(NOW_MS, {"rule_version": "r", "watermark_ms": str(NOW_MS)}), *parts])
        connection.close()
        yield server.url


@pytest.fixture
def topics(bootstrap: str) -> Topics:
    """In which the same memberships were said."""
    topics = Topics(f"t{uuid4().hex[:8]}.")
    made = segmill("topics", "create", "--bootstrap", bootstrap, "--partitions", 3, "--topic-prefix", topics.prefix)
    assert made.returncode == 0, made.stderr
    told, changes = topics.population_memberships.name, topics.segment_changes.name
    for customer, since in SINCE_MS.items():
        entered = [
            {"customer_id": customer, "segment": name, "change": "entered", "at_ms": at_ms, "since_ms": at_ms}
            for name, at_ms in since.items()
        ]
        java = {"partitioner": "murmur2_random"}
        produce(bootstrap, changes, *((customer, json.dumps(one).encode()) for one in entered), **java)
        produce(bootstrap, told, (customer, json.dumps({"segments": since}).encode()), **java)
    return topics


def test_all_are_told_to_have_left(bootstrap: str, redis_url: str, topics: Topics) -> None:
    """Nobody is in anything for who follows either topic; each exit is behind its entry, in the same partition."""
    changes = records(bootstrap, topics.segment_changes.name)
    assert len(folded([json.loads(one.value()) for one in changes])) == 100
    where = "--redis", redis_url, "--bootstrap", bootstrap, "--topic-prefix", topics.prefix
    assert segmill("population", "forget", *where).returncode == 0
    assert len(records(bootstrap, topics.segment_changes.name)) == 100
    done = segmill("population", "forget", *where, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["members"] == {"high-value": 50, "vip": 50}
    said = records(bootstrap, topics.segment_changes.name)
    exits = [change for one in said if (change := json.loads(one.value()))["change"] == "left"]
    assert {(one["customer_id"], one["segment"], one["since_ms"]) for one in exits} == {
        (customer, name, at_ms) for customer, since in SINCE_MS.items() for name, at_ms in since.items()
    }
    assert folded([json.loads(one.value()) for one in said]) == {}
    partitions = {(one.key(), one.partition()) for one in said}
    assert len(partitions) == len(SINCE_MS)
    assert newest_of_each(records(bootstrap, topics.population_memberships.name)) == {}
    assert all(one.headers() == [SCHEMA_VERSION_HEADER] for one in said if json.loads(one.value())["change"] == "left")
    again = segmill("population", "forget", *where, "--yes")
    assert (again.returncode, again.stdout) == (0, "nothing of a population is there\n")
    assert len(records(bootstrap, topics.segment_changes.name)) == len(said)


def test_brokers_that_are_away(redis_url: str) -> None:
    """Nothing is removed of what could not be said."""
    where = "--redis", redis_url, "--bootstrap", "127.0.0.1:1"
    done = segmill("population", "forget", *where, "--yes")
    assert done.returncode == 1
    assert "127.0.0.1:1" in done.stderr
    left = segmill("population", "forget", "--redis", redis_url, "--untold", "--json")
    assert json.loads(left.stdout)["members"] == {"high-value": 50, "vip": 50}
