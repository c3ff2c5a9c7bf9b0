"""Other rules on a running job: real Kafka, Flink and Redis, and a TaskManager that dies."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from jobs.stack.stack import Stack
from state.rules.ruleset import DEFAULT_RULES, load_rules
from tests.cluster.records import produce, records

pytestmark = pytest.mark.cluster
CUSTOMERS = 6
PREFIX = "ruled-"
LOOKERS = '\n[segments.lookers]\ndescription = "For tests."\nwhen = "views_7d >= 1"\n'


class LiveJob:
    """A live job with topics of its own."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.kafka = ["--bootstrap", stack.plan.bootstrap, "--topic-prefix", PREFIX]
        self.flink = ["--flink", f"127.0.0.1:{stack.plan.flink_port}"]

    def segmill(self, *arguments: str) -> Any:
        told = subprocess.run(
            [sys.executable, "-c", "from jobs.cli import main; main()", *arguments, "--json"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert told.returncode == 0, told.stderr
        return [json.loads(line) for line in told.stdout.splitlines()] if "show" in arguments else None

    def start(self, *more: str) -> None:
        self.segmill("topics", "create", *self.kafka, "--partitions", "2")
        redis = f"redis://127.0.0.1:{self.stack.plan.redis_port}"
        self.segmill(
            "submit", "segments", *self.flink, *self.kafka, "--redis", redis, "--name", "ruled", "--parallelism", "2",
            "--checkpoint-interval", "2s", "--quiet-after", "2s", *more,
        )  # fmt: skip

    def feed(self, customers: list[str]) -> None:
        """Three views of each, a minute ago."""
        producer = Producer({"bootstrap.servers": self.stack.plan.bootstrap, "log_level": 0})
        for customer in customers:
            for number in range(3):
                at_ms = time.time_ns() // 1_000_000 - 60_000 + number
                event = {"event_id": f"{customer}-{number}", "type": "product_viewed", "timestamp": at_ms,
                         "customer_id": customer, "product_id": "p"}  # fmt: skip
                producer.produce(f"{PREFIX}events", json.dumps(event), customer, timestamp=at_ms)
        assert producer.flush(30) == 0

    def said(self, topic: str) -> list[dict[str, Any]]:
        found = records(self.stack.plan.bootstrap, PREFIX + topic)
        return [json.loads(message.value() or b"null") for message in found]

    def changes(self, segment: str, change: str) -> dict[str, dict[str, Any]]:
        """By customer."""
        wanted = (one for one in self.said("segment-changes") if (one["segment"], one["change"]) == (segment, change))
        return {one["customer_id"]: one for one in wanted}


def wait(until: Callable[[], bool], what: str, patience_s: float = 90) -> None:
    deadline = time.monotonic() + patience_s
    while not until():
        assert time.monotonic() < deadline, what
        time.sleep(0.5)


@pytest.fixture
def job(whole_stack: Stack) -> Iterator[LiveJob]:
    job = LiveJob(whole_stack)
    job.start()
    try:
        yield job
    finally:
        job.segmill("stop", "ruled", *job.flink)


def test_rules_change_under_a_running_job(job: LiveJob, tmp_path: Path) -> None:
    """Customers without events move, what is faulty is refused once, and a killed TaskManager forgets nothing."""
    idle = [f"idle{number}" for number in range(CUSTOMERS)]
    job.feed(idle)
    wait(lambda: set(job.changes("browsers", "entered")) == set(idle), "the job reads events")

    other = tmp_path / "other.toml"
    strict = DEFAULT_RULES.read_text(encoding="utf-8").replace("views_14d >= 3", "views_14d >= 30")
    other.write_text(strict + LOOKERS, encoding="utf-8")
    version = load_rules(other).version
    job.segmill("control", "rules", str(other), *job.kafka)
    wait(lambda: set(job.changes("browsers", "left")) == set(idle), "idle customers leave")
    wait(lambda: set(job.changes("lookers", "entered")) == set(idle), "idle customers enter")
    for one in (*job.changes("browsers", "left").values(), *job.changes("lookers", "entered").values()):
        assert one["cause"] == {"kind": "rules", "event_id": None}
        assert one["rule_version"] == version

    faulty = {"control_id": "faulty", "kind": "rules", "rules": '[segments.a]\nwhen = "views_8d > 1"\n'}
    produce(job.stack.plan.bootstrap, f"{PREFIX}control", ("rules", json.dumps(faulty).encode()), ("rules", None))
    wait(lambda: len(job.said("events-rejected")) >= 2, "refusals are told")
    refused = {one["offset"]: one for one in job.said("events-rejected")}
    assert {one["reason"] for one in refused.values()} == {"invalid_control"}
    assert 'rules:2:9: segment "a": unknown feature' in refused[1]["detail"]
    assert len(job.said("events-rejected")) == 2

    job.stack.kill("taskmanager-1")
    job.stack.start("taskmanager-1")
    new = [f"new{number}" for number in range(CUSTOMERS)]
    job.feed(new)
    wait(lambda: set(new) <= set(job.changes("lookers", "entered")), "the new rules are still in force", 180)
    for customer in new:
        assert job.changes("lookers", "entered")[customer]["rule_version"] == version
    assert not set(new) & set(job.changes("browsers", "entered"))
    said = job.said("segment-changes")
    assert len({one["change_id"] for one in said}) == len(said)
    shown = job.segmill("control", "show", *job.kafka)
    assert [one["rule_version"] for one in shown] == [version, None, None]
    assert "rules:2:9" in shown[1]["refused"]

    job.segmill("stop", "ruled", *job.flink)
    third = tmp_path / "third.toml"
    third.write_text(strict + LOOKERS.replace("lookers", "seen"), encoding="utf-8")
    job.start("--from-savepoint", "latest", "--rules", str(third))
    everybody = {*idle, *new}
    wait(lambda: set(job.changes("seen", "entered")) == everybody, "the rules of a new submission win", 120)
    wait(lambda: set(job.changes("lookers", "left")) == everybody, "everybody leaves what is no more")
    assert {one["rule_version"] for one in job.changes("seen", "entered").values()} == {load_rules(third).version}
    assert {one["cause"]["kind"] for one in job.changes("lookers", "left").values()} == {"rules"}
