"""A live job that is disturbed in the middle of a replay, and what it must leave all the same.

A module of tests has the fixtures `disturbed` and `undisturbed`, and a class of its own below `SameAsUndisturbed`.
"""

import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schemas.decode import Decoder
from schemas.rejects import Rejected
from schemas.settings import Settings
from tests.cluster.live_jobs import LiveJob, by_customer, folded, lines, newest_of_each
from tests.cluster.publishing import assert_same_exports, exported, publish
from tests.cluster.records import records
from tests.cluster.waiting import until
from tests.end_to_end.segmill_runs import SEGMILL, Run, accepted
from tests.serving.slow_door import SlowDoor

_RECOVERY_S = 240.0


@dataclass
class Disturbed:
    """A live job that was disturbed, and what was done to it."""

    job: LiveJob
    door: SlowDoor | None = None
    """By which the job reaches Redis, if not by the straight way."""
    survived: list[str] = field(default_factory=list)
    """Names of faults, and how long each was until the job was well again."""
    restarts: int = 0
    changes: list[dict[str, Any]] = field(default_factory=list)
    as_of_ms: int = 0
    """The moment as of which it wrote everything."""
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

    def finish(self, newest_ms: int, export: Path) -> None:
        """All is read: keep what the job has left, and what it writes as of one moment. `newest_ms`: of the events."""
        job = self.job
        job.await_all_read()
        self.as_of_ms = publish(job, "--at", newest_ms + 2_000)["written_ms"]
        self.export = exported(job, export)
        job.next_checkpoints()
        self.changes = job.changes_said()
        self.restarts += job.restarts()


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


@contextmanager
def replaying(log: Path, job: LiveJob, for_s: int) -> "Iterator[subprocess.Popen[str]]":
    """A replay that goes on during the block, and is whole after it; by itself it takes so long."""
    pace = max(1, log.read_bytes().count(b"\n") // for_s)
    to = ("--topic", job.topics.events.name, "--bootstrap", job.bootstrap)
    command = [str(SEGMILL), "replay", str(log), *to, "--speed", f"{pace}/s"]
    replay = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield replay
        said, _ = replay.communicate(timeout=300)
        assert replay.returncode == 0, said
    finally:
        replay.kill()


class SameAsUndisturbed:
    """What the job leaves is what a run over the same events leaves, which nobody has disturbed."""

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
        assert job.memberships_in_redis() == memberships

    def test_redis_is_that_of_the_undisturbed(self, disturbed: Disturbed, undisturbed: Run) -> None:
        """Profiles, segments and lists of similar items, byte for byte."""
        assert_same_exports(disturbed.export, undisturbed.export)
