"""Faults while a log is replayed: topics and Redis end as they do without any. 0 lost, 0 doubled, 0 stale.

`SEGMILL_FAULT_EVENTS` sets the length of the log (`make test-faults`: 500,000).
"""

import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from jobs.simulation.settings import SimulationSettings
from jobs.stack.stack import Stack
from tests.cluster.disturbed import Disturbed, SameAsUndisturbed, newest_event_ms, replaying
from tests.cluster.live_jobs import live_job
from tests.cluster.redis_door import redis_door
from tests.cluster.reported import report
from tests.cluster.waiting import until
from tests.end_to_end.segmill_runs import Run, run

pytestmark = pytest.mark.cluster

EVENTS = int(os.environ.get("SEGMILL_FAULT_EVENTS", "40000"))
PART_S = 20
"""How long the replay of each part takes at least: a fault comes in the middle of it."""
PAUSED_S, SILENT_S, SLOW_S = 20, 15, 17
LATE_S = 8
"""So long each answer of a slow Redis takes: not so long that the writers give it up."""
EVENTS_SOURCE = "Source: KafkaSource-default_catalog.default_database.events"
"""The task that reads the topic, as Flink names it."""
FULL_MS = 3_000
"""So long who reads the topic has to have waited then, since queues were full."""
SHOP = SimulationSettings(
    events=EVENTS, customers=max(500, EVENTS // 30), products=400, days=60, duplicates=0.02, malformed=0.01
)


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


def pause_redis(disturbed: Disturbed) -> None:
    """Nobody answers for a while, longer than is waited for an answer: queues fill up to the source."""
    disturbed.without("redis", SILENT_S)


def slow_redis(disturbed: Disturbed) -> None:
    """Every answer comes, but late: two batches of each writer take as long as thousands do. Queues fill up."""
    job = disturbed.job
    held_up_ms = partial(job.cluster.held_up_ms, job.job_id, EVENTS_SOURCE)
    before_ms = held_up_ms()
    assert disturbed.door is not None
    disturbed.door.delay_s = LATE_S
    time.sleep(SLOW_S)
    until(lambda: held_up_ms() >= before_ms + FULL_MS, "queues are full, up to where the topic is read")
    disturbed.door.delay_s = 0.0
    disturbed.goes_on()


FAULTS: tuple[Callable[[Disturbed], None], ...] = (
    kill_task_manager,
    kill_job_manager,
    kill_broker,
    kill_redis,
    pause_task_manager,
    pause_redis,
    slow_redis,
)


def parts_of(log: Path, count: int) -> list[Path]:
    """The log, cut: a part for each fault."""
    whole = log.read_bytes().splitlines(keepends=True)
    size = -(-len(whole) // count)
    parts = [log.with_name(f"part-{number}.jsonl") for number in range(count)]
    for number, part in enumerate(parts):
        part.write_bytes(b"".join(whole[number * size : (number + 1) * size]))
    return parts


@pytest.fixture(scope="class")
def disturbed(stack: Stack, log: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disturbed]:
    newest_ms = newest_event_ms(log)
    with redis_door(stack.plan.redis_port) as door, live_job(stack, "--parallelism", "2", "--redis", door.url) as job:
        found = Disturbed(job, door)
        for fault, part in zip(FAULTS, parts_of(log, len(FAULTS)), strict=True):
            with replaying(part, job, PART_S) as replay:
                job.next_checkpoints(2)
                assert replay.poll() is None, f"the replay was over before {fault.__name__}"
                began = time.monotonic()
                fault(found)
                found.survived.append(f"{fault.__name__} {time.monotonic() - began:.0f} s")
        found.finish(newest_ms, tmp_path_factory.mktemp("live"))
        survived, killed = found.survived, sum(fault.startswith("kill") for fault in found.survived)
        report(
            f"{EVENTS:,} events, {len(survived)} faults survived, {killed} of them kill -9; with the time until it "
            f"was well: {', '.join(survived)}; {found.restarts} restarts"
        )
        yield found


@pytest.fixture(scope="class")
def undisturbed(disturbed: Disturbed, log: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same events over files, as of the moment as of which the job has written everything."""
    return run(tmp_path_factory.mktemp("files"), log, "--as-of", disturbed.as_of_ms)


class TestReplay(SameAsUndisturbed):
    def test_all_were_survived(self, disturbed: Disturbed) -> None:
        assert len(disturbed.survived) == len(FAULTS)
        assert disturbed.restarts > 0
