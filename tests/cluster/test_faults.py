"""Faults while a log is replayed: topics and Redis end as they do without any. 0 lost, 0 doubled, 0 stale.

`SEGMILL_FAULT_EVENTS` sets the length of the log (`make test-faults`: 500,000).
"""

import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis

from jobs.simulation.log import write_log
from jobs.simulation.settings import SimulationSettings
from jobs.stack.stack import Stack
from schemas.decode import Decoder
from schemas.rejects import Rejected
from schemas.settings import MINUTE_MS, Settings
from tests.cluster.live_jobs import LiveJob, by_customer, folded, lines, live_job, newest_of_each
from tests.cluster.records import records
from tests.cluster.waiting import until
from tests.end_to_end.segmill_runs import SEGMILL, Run, accepted, run, segmill

pytestmark = pytest.mark.cluster

EVENTS = int(os.environ.get("SEGMILL_FAULT_EVENTS", "40000"))
PART_S = 20
"""How long the replay of each part takes at least: a fault comes in the middle of it."""
PAUSED_S, SLOW_S = 20, 15
_RECOVERY_S = 240.0
SHOP = SimulationSettings(
    events=EVENTS, customers=max(500, EVENTS // 30), products=400, days=60, duplicates=0.02, malformed=0.01
)


@dataclass
class Disturbed:
    """A live job that was disturbed, and what was done to it."""

    job: LiveJob
    survived: list[str] = field(default_factory=list)
    """Names of faults, and how long each was until the job was well again."""
    restarts: int = 0
    changes: list[dict[str, Any]] = field(default_factory=list)
    as_of_ms: int = 0
    """To here the clock of the job had come when it was looked at."""
    export: Path = Path()

    def newest_checkpoint(self) -> Path:
        """What a new JobManager can go on from."""
        found = self.job.stack.layout.folder.glob(f"**/{self.job.job_id}/chk-*/_metadata")
        return max(found, key=lambda path: path.stat().st_mtime).parent

    def goes_on(self) -> None:
        """Wait until the job runs and completes checkpoints again."""
        until(lambda: self.job.cluster.state(self.job.job_id) == "RUNNING", "the job runs again", _RECOVERY_S)
        self.job.next_checkpoints(2)

    def without(self, server: str, for_s: float) -> None:
        """SIGSTOP and, after a while, SIGCONT: it neither works nor closes its connections meanwhile."""
        self.job.stack.pause(server)
        time.sleep(for_s)
        self.job.stack.resume(server)
        self.goes_on()


def kill_task_manager(disturbed: Disturbed) -> None:
    """kill -9; another one takes its place."""
    stack = disturbed.job.stack
    stack.kill("taskmanager-1")
    stack.start("taskmanager-1")
    disturbed.goes_on()


def kill_job_manager(disturbed: Disturbed) -> None:
    """kill -9; a new one knows of no job, and is given it with its last checkpoint."""
    job = disturbed.job
    disturbed.restarts += job.restarts()
    job.stack.kill("jobmanager")
    job.stack.start("jobmanager")
    until(lambda: job.cluster.free_slots() == job.stack.plan.task_managers, "the TaskManagers have come back")
    job.submit("--from-savepoint", disturbed.newest_checkpoint())


def kill_broker(disturbed: Disturbed) -> None:
    """kill -9 and a start: transactions are open in the middle of it."""
    stack = disturbed.job.stack
    stack.kill("broker-1")
    stack.start("broker-1")
    disturbed.goes_on()


def kill_redis(disturbed: Disturbed) -> None:
    """kill -9 and, after a while, a start; its log of writes is there."""
    stack = disturbed.job.stack
    stack.kill("redis")
    time.sleep(3)
    stack.start("redis")
    disturbed.goes_on()


def pause_task_manager(disturbed: Disturbed) -> None:
    """It is given up, and comes back with work that is no longer its own."""
    disturbed.without("taskmanager-2", PAUSED_S)


def slow_redis(disturbed: Disturbed) -> None:
    """Nobody answers for a while: queues fill up to the source."""
    disturbed.without("redis", SLOW_S)


FAULTS: tuple[Callable[[Disturbed], None], ...] = (
    kill_task_manager,
    kill_job_manager,
    kill_broker,
    kill_redis,
    pause_task_manager,
    slow_redis,
)


def newest_event_ms(log: Path) -> int:
    decode = Decoder(Settings()).decode
    return max(decode(line)[1].time_ms for line in accepted(log))


def standing(changes: list[dict[str, Any]]) -> list[tuple[str, str, str, int, int]]:
    """The turns that no later record takes back or replaces: (customer, segment, change, at_ms, since_ms)."""
    stand: dict[str, dict[str, Any]] = {}
    for one in changes:
        superseded = one["supersedes"]
        before = None if superseded is None else stand.pop(superseded)
        if before is None or before["change"] == one["change"]:  # the opposite change takes it back
            stand[one["change_id"]] = one
    return [(o["customer_id"], o["segment"], o["change"], o["at_ms"], o["since_ms"]) for o in stand.values()]


def parts_of(log: Path, count: int) -> list[Path]:
    """The log, cut: a part for each fault."""
    whole = log.read_bytes().splitlines(keepends=True)
    size = -(-len(whole) // count)
    parts = [log.with_name(f"part-{number}.jsonl") for number in range(count)]
    for number, part in enumerate(parts):
        part.write_bytes(b"".join(whole[number * size : (number + 1) * size]))
    return parts


@contextmanager
def replaying(part: Path, job: LiveJob) -> "Iterator[subprocess.Popen[str]]":
    """A replay that goes on during the block, and is whole after it."""
    pace = max(1, EVENTS // len(FAULTS) // PART_S)
    to = ("--topic", job.topics.events.name, "--bootstrap", job.bootstrap)
    command = [str(SEGMILL), "replay", str(part), *to, "--speed", f"{pace}/s"]
    replay = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield replay
        said, _ = replay.communicate(timeout=300)
        assert replay.returncode == 0, said
    finally:
        replay.kill()


@pytest.fixture(scope="class")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "log.jsonl"
    write_log(SHOP, path)
    return path


@pytest.fixture(scope="class")
def disturbed(stack: Stack, log: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disturbed]:
    newest_ms = newest_event_ms(log)
    with live_job(stack, "--parallelism", "2") as job:
        found = Disturbed(job)
        for fault, part in zip(FAULTS, parts_of(log, len(FAULTS)), strict=True):
            with replaying(part, job) as replay:
                job.next_checkpoints(2)
                assert replay.poll() is None, f"the replay was over before {fault.__name__}"
                began = time.monotonic()
                fault(found)
                found.survived.append(f"{fault.__name__} {time.monotonic() - began:.0f} s")
        # time goes on sooner than by itself: it is that of the records, whatever is in them
        job.produce(*[(None, b"rubbish", newest_ms + 2 * MINUTE_MS)] * 8)
        job.await_all_read()
        until(lambda: min(job.watermarks_ms("item")) > newest_ms + MINUTE_MS, "all profiles are written")
        found.as_of_ms = max(job.watermarks_ms("item"))
        found.export = tmp_path_factory.mktemp("live")
        how = ("--redis", job.redis_url, "--prefix", job.prefix, "--out", found.export)
        exported = segmill("export", *how)
        assert exported.returncode == 0, exported.stderr
        job.next_checkpoints()
        found.changes = job.changes_said()
        found.restarts += job.restarts()
        print(f"\n{EVENTS:,} events, survived: {', '.join(found.survived)}; {found.restarts} restarts")
        yield found


@pytest.fixture(scope="class")
def undisturbed(disturbed: Disturbed, log: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same events over files, as of the time to which the job's clock had come."""
    return run(tmp_path_factory.mktemp("files"), log, "--as-of", disturbed.as_of_ms)


class TestReplay:
    def test_all_were_survived(self, disturbed: Disturbed) -> None:
        assert len(disturbed.survived) == len(FAULTS)
        assert disturbed.restarts > 0

    def test_changes_are_neither_lost_nor_doubled(self, disturbed: Disturbed, undisturbed: Run) -> None:
        """Turn by turn, to the millisecond. (A fault lets the clock go on while nothing is read: then a job may say
        what a later event shows to be untrue, and correct it; so what counts is what the corrections leave.)
        """
        ids = [one["change_id"] for one in disturbed.changes]
        assert len(set(ids)) == len(ids)
        found = Counter(turn for turn in standing(disturbed.changes) if turn[3] <= disturbed.as_of_ms)
        expected = Counter(standing(lines(undisturbed.out / "segment-changes.jsonl")))
        assert len(expected) > 100
        assert (list((expected - found).elements()), list((found - expected).elements())) == ([], [])

    def test_rejected_are_neither_lost_nor_doubled(self, disturbed: Disturbed) -> None:
        """Each bad record of the topic once. (A producer that loses its broker may have written one twice.)"""
        decode = Decoder(Settings()).decode
        expected = set()
        for message in records(disturbed.job.bootstrap, disturbed.job.topics.events.name):
            try:
                decode(message.value() or b"")
            except Rejected as rejected:
                expected.add((message.partition(), message.offset(), rejected.reason.value))
        found = [(one["partition"], one["offset"], one["reason"]) for one in disturbed.job.rejected()]
        assert expected
        assert sorted(found) == sorted(expected)

    def test_memberships_in_topic_and_redis_are_those_of_the_changes(self, disturbed: Disturbed) -> None:
        """Nothing is stale."""
        job = disturbed.job
        job.next_checkpoints()
        memberships = folded(job.changes_said())
        newest = newest_of_each(records(job.bootstrap, job.topics.segment_memberships.name))
        assert {key: one["segments"] for key, one in newest.items()} == by_customer(memberships)
        client = redis.Redis.from_url(job.redis_url)
        start = f"{job.prefix}segment:"
        in_redis = {
            (member.decode(), key.decode().removeprefix(start)): int(since_ms)
            for key in client.scan_iter(f"{start}*")
            for member, since_ms in client.zrange(key, 0, -1, withscores=True)
        }
        assert in_redis == memberships

    def test_profiles_are_those_of_the_undisturbed(self, disturbed: Disturbed, undisturbed: Run) -> None:
        """As far as profiles of different times can be compared."""
        told = segmill("verify", disturbed.export, undisturbed.export, "--ignore-as-of", "--only", "profiles")
        assert told.returncode == 0, told.stdout
