"""A broker that is away for longer than Kafka's clients wait by themselves, in the middle of a replay."""

import os
import time
from pathlib import Path

import pytest

from jobs.simulation.settings import SimulationSettings
from jobs.stack.stack import Stack
from tests.cluster.disturbed import replaying
from tests.cluster.live_jobs import LiveJob, live_job
from tests.cluster.waiting import until

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif("SEGMILL_FAULT_EVENTS" not in os.environ, reason="takes three minutes: make test-faults"),
]

SHOP = SimulationSettings(events=8_000, customers=300, products=80, days=5)
REPLAY_S = 12
AWAY_S = 65
"""Kafka's own patience is a minute."""


def killed_after_a_checkpoint(job: LiveJob) -> None:
    """Sinks are about to commit, or have just begun new transactions."""
    before = job.completed_checkpoints()
    until(lambda: job.completed_checkpoints() > before, "a checkpoint")
    job.stack.kill("broker-1")


def states(stack: Stack) -> set[str]:
    return {one.state for one in stack.status() if one.name.startswith("taskmanager")}


def test_task_managers_outlive_it(whole_stack: Stack, log: Path) -> None:
    """The job waits. A job that is cancelled meanwhile waits, too, and takes no TaskManager with it: with Kafka's own
    patience, a task that cannot end its transaction ends the whole process.
    """
    stack = whole_stack
    with live_job(stack, "--parallelism", "2") as job:
        with replaying(log, job, REPLAY_S) as replay:
            job.next_checkpoints(2)
            assert replay.poll() is None, "the replay was over before the fault"
            killed_after_a_checkpoint(job)
            time.sleep(AWAY_S)
            assert (job.restarts(), job.cluster.state(job.job_id)) == (0, "RUNNING")
            job.cluster.cancel(job.job_id)
            time.sleep(AWAY_S)
            assert states(stack) == {"running"}
            stack.start("broker-1")
            assert job.cluster.wait_ended(job.job_id, 120) == "CANCELED"
        until(lambda: job.cluster.free_slots() == stack.plan.task_managers, "the slots are free")
        assert states(stack) == {"running"}
