"""A live job on the stack, and what it leaves in its topics."""

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import redis
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from jobs.live.rest import Cluster
from jobs.stack.stack import Stack
from jobs.topics import Topics
from tests.cluster.records import Row, produce, records
from tests.cluster.waiting import until
from tests.end_to_end.segmill_runs import segmill

Memberships = dict[tuple[str, str], int]
"""(customer, segment): since_ms."""


@dataclass
class LiveJob:
    """One job and its topics."""

    stack: Stack
    prefix: str = field(default_factory=lambda: f"t{uuid4().hex[:8]}.")
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.topics = Topics(self.prefix)
        self.name = f"segmill-{self.prefix}"
        self.cluster = Cluster(f"127.0.0.1:{self.stack.plan.flink_port}")
        self.bootstrap = self.stack.plan.bootstrap
        self.redis_url = f"redis://127.0.0.1:{self.stack.plan.redis_port}"
        self.settings_file = self.stack.layout.folder / f"{self.prefix}toml"
        self.settings_file.write_text(f'redis_prefix = "{self.prefix}"\n', encoding="utf-8")
        self.job_id = ""

    def make_topics(self, partitions: int = 4) -> None:
        how = ("--bootstrap", self.bootstrap, "--partitions", partitions, "--topic-prefix", self.prefix)
        made = segmill("topics", "create", *how)
        assert made.returncode == 0, made.stderr

    def submit(self, *options: object) -> None:
        """Submit, and wait until it runs."""
        said = segmill(
            *("submit", "segments", "--json", "--bootstrap", self.bootstrap, "--flink", self.cluster.url),
            *("--redis", self.redis_url, "--topic-prefix", self.prefix, "--name", self.name),
            *("--settings", self.settings_file),
            *("--checkpoint-interval", "1s", "--quiet-after", "2s", *self.options, *options),
        )
        assert said.returncode == 0, said.stderr
        self.job_id = json.loads(said.stdout)["job_id"]
        until(lambda: self.completed_checkpoints() > 0, "the first checkpoint")

    def stop(self) -> str:
        said = segmill("stop", self.name, "--flink", self.cluster.url, "--json")
        assert said.returncode == 0, said.stderr
        return str(json.loads(said.stdout)["savepoint"])

    def restarts(self) -> int:
        return self.cluster.restarts(self.job_id)

    def completed_checkpoints(self) -> int:
        return int(self.cluster.checkpoints(self.job_id)["counts"]["completed"])

    def next_checkpoints(self, count: int = 2) -> None:
        before = self.completed_checkpoints()
        until(lambda: self.completed_checkpoints() >= before + count, "checkpoints")

    def await_all_read(self) -> None:
        """Until a checkpoint covers all events, and what they led to is committed."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": self.name, "log_level": 0})
        try:
            name = self.topics.events.name
            parts = [
                TopicPartition(name, part) for part in consumer.list_topics(name, timeout=10).topics[name].partitions
            ]
            ends = {part.partition: consumer.get_watermark_offsets(part, timeout=10)[1] for part in parts}

            def all_read() -> bool:
                try:
                    done = {part.partition: part.offset for part in consumer.committed(parts, timeout=10)}
                except KafkaException:  # a broker that has just started looks for the coordinator itself
                    return False
                return all(done[number] >= end for number, end in ends.items() if end)

            until(all_read, "all events are read", 600)
        finally:
            consumer.close()
        self.next_checkpoints()

    def produce(self, *rows: Row) -> None:
        produce(self.bootstrap, self.topics.events.name, *rows)

    def watermarks_ms(self, operator: str) -> list[int]:
        """Of each subtask; of `customer` Flink tells that of its control input."""
        return self.cluster.watermarks(self.job_id, operator) or [-1]

    def changes(self) -> list[Message]:
        return records(self.bootstrap, self.topics.segment_changes.name)

    def changes_said(self) -> list[dict[str, Any]]:
        return [json.loads(one.value()) for one in self.changes()]

    def memberships_in_redis(self) -> Memberships:
        """What the sorted sets of the segments hold."""
        client = redis.Redis.from_url(self.redis_url)
        start = f"{self.prefix}segment:"
        return {
            (member.decode(), key.decode().removeprefix(start)): int(since_ms)
            for key in client.scan_iter(f"{start}*")
            for member, since_ms in client.zrange(key, 0, -1, withscores=True)
        }

    def rejected(self) -> list[dict[str, Any]]:
        return [json.loads(one.value()) for one in records(self.bootstrap, self.topics.events_rejected.name)]


@contextmanager
def live_job(stack: Stack, *options: str) -> Iterator[LiveJob]:
    """A job with topics of its own, cancelled in the end."""
    job = LiveJob(stack, options=options)
    job.make_topics()
    with cancelled(job):
        job.submit()
        yield job


@contextmanager
def cancelled(job: LiveJob) -> Iterator[None]:
    """Nothing of the job runs after the block, and its slots are free."""
    try:
        yield
    finally:
        segmill("stop", job.name, "--now", "--flink", job.cluster.url)
        until(lambda: job.cluster.free_slots() == job.stack.plan.task_managers, "the slots are free")


def folded(changes: list[dict[str, Any]], as_of_ms: int | None = None) -> Memberships:
    """What anybody has who applies the changes, those up to a time."""
    found: Memberships = {}
    for one in changes:
        if as_of_ms is None or one["at_ms"] <= as_of_ms:
            member = one["customer_id"], one["segment"]
            if one["change"] == "entered":
                found[member] = one["since_ms"]
            else:
                found.pop(member, None)
    return found


def newest_of_each(messages: list[Message]) -> dict[str, Any]:
    """What a compacted topic stands for: key to newest value, without those that have none."""
    found = {one.key().decode(): one.value() for one in messages}
    return {key: json.loads(value) for key, value in found.items() if value is not None}


def by_customer(memberships: Memberships) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for (customer, segment), since_ms in memberships.items():
        found[customer][segment] = since_ms
    return dict(found)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]
