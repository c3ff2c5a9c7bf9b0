"""Other rules on a running job: real Kafka, Flink and Redis, and a TaskManager that dies."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from jobs.stack.stack import Stack
from state.rules.ruleset import DEFAULT_RULES, load_rules
from tests.cluster.live_jobs import LiveJob, live_job
from tests.cluster.records import produce
from tests.cluster.waiting import until
from tests.end_to_end.segmill_runs import segmill

pytestmark = pytest.mark.cluster
CUSTOMERS = 6
LOOKERS = '\n[segments.lookers]\ndescription = "For tests."\nwhen = "views_7d >= 1"\n'


def feed(job: LiveJob, customers: list[str]) -> None:
    """Three views of each, a minute ago."""
    first_ms = time.time_ns() // 1_000_000 - 60_000
    times = [(customer, first_ms + number) for customer in customers for number in range(3)]
    job.produce(*((customer, view(customer, at_ms), at_ms) for customer, at_ms in times))


def view(customer: str, at_ms: int) -> bytes:
    event = {"event_id": f"{customer}-{at_ms}", "type": "product_viewed", "timestamp": at_ms}
    return json.dumps(event | {"customer_id": customer, "product_id": "p"}).encode()


def changes(job: LiveJob, segment: str, change: str) -> dict[str, dict[str, Any]]:
    """By customer."""
    wanted = (one for one in job.changes_said() if (one["segment"], one["change"]) == (segment, change))
    return {one["customer_id"]: one for one in wanted}


def told_version(job: LiveJob) -> str | None:
    """Of the rules in force, as readers of Redis are told."""
    found = redis.Redis.from_url(job.redis_url).hget(f"{job.prefix}meta", "rule_version")
    return None if found is None else found.decode()


def control(job: LiveJob, *arguments: object) -> list[dict[str, Any]]:
    """A `segmill control` command on the topic of a job."""
    told = segmill("control", *arguments, "--bootstrap", job.bootstrap, "--topic-prefix", job.prefix, "--json")
    assert told.returncode == 0, told.stderr
    return [json.loads(line) for line in told.stdout.splitlines()] if "show" in arguments else []


@pytest.fixture
def job(whole_stack: Stack) -> Iterator[LiveJob]:
    with live_job(whole_stack, "--parallelism", "2") as job:
        yield job


def test_rules_change_under_a_running_job(job: LiveJob, tmp_path: Path) -> None:
    """Customers without events move, what is faulty is refused once, and a killed TaskManager forgets nothing."""
    idle = [f"idle{number}" for number in range(CUSTOMERS)]
    feed(job, idle)
    until(lambda: set(changes(job, "browsers", "entered")) == set(idle), "the job reads events")

    other = tmp_path / "other.toml"
    strict = DEFAULT_RULES.read_text(encoding="utf-8").replace("views_14d >= 3", "views_14d >= 30")
    other.write_text(strict + LOOKERS, encoding="utf-8")
    version = load_rules(other).version
    control(job, "rules", other)
    until(lambda: set(changes(job, "browsers", "left")) == set(idle), "idle customers leave")
    until(lambda: set(changes(job, "lookers", "entered")) == set(idle), "idle customers enter")
    for one in (*changes(job, "browsers", "left").values(), *changes(job, "lookers", "entered").values()):
        assert one["cause"] == {"kind": "rules", "event_id": None}
        assert one["rule_version"] == version
    until(lambda: told_version(job) == version, "Redis tells the version")

    faulty = {"control_id": "faulty", "kind": "rules", "rules": '[segments.a]\nwhen = "views_8d > 1"\n'}
    produce(job.bootstrap, job.topics.control.name, ("rules", json.dumps(faulty).encode()), ("rules", None))
    until(lambda: len(job.rejected()) >= 2, "refusals are told")
    refused = {one["offset"]: one for one in job.rejected()}
    assert {one["reason"] for one in refused.values()} == {"invalid_control"}
    assert 'rules:2:9: segment "a": unknown feature' in refused[1]["detail"]
    assert len(job.rejected()) == 2

    job.stack.kill("taskmanager-1")
    job.stack.start("taskmanager-1")
    new = [f"new{number}" for number in range(CUSTOMERS)]
    feed(job, new)
    until(lambda: set(new) <= set(changes(job, "lookers", "entered")), "the new rules are still in force")
    for customer in new:
        assert changes(job, "lookers", "entered")[customer]["rule_version"] == version
    assert not set(new) & set(changes(job, "browsers", "entered"))
    redis.Redis.from_url(job.redis_url).delete(f"{job.prefix}meta")
    until(lambda: told_version(job) is not None, "Redis is told again")
    assert told_version(job) == version
    said = job.changes_said()
    assert len({one["change_id"] for one in said}) == len(said)
    shown = control(job, "show")
    assert [one["rule_version"] for one in shown] == [version, None, None]
    assert "rules:2:9" in shown[1]["refused"]

    job.stop()
    third = tmp_path / "third.toml"
    third.write_text(strict + LOOKERS.replace("lookers", "seen"), encoding="utf-8")
    job.submit("--from-savepoint", "latest", "--rules", third)
    everybody = {*idle, *new}
    until(lambda: set(changes(job, "seen", "entered")) == everybody, "the rules of a new submission win")
    until(lambda: set(changes(job, "lookers", "left")) == everybody, "everybody leaves what is no more")
    assert {one["rule_version"] for one in changes(job, "seen", "entered").values()} == {load_rules(third).version}
    assert {one["cause"]["kind"] for one in changes(job, "lookers", "left").values()} == {"rules"}
    until(lambda: told_version(job) == load_rules(third).version, "Redis tells the version of the submission")
