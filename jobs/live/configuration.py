"""Flink's configuration of the live job: what must hold whichever cluster it runs on."""

from typing import Final

from jobs.graph import MAX_PARALLELISM
from jobs.live.settings import LiveSpec

BROKER_AWAY_MS: Final = 240_000
"""So long a sink waits for a broker: to commit, before the job starts again from its last checkpoint, and to end a
transaction, when its task is cancelled or fails. Both, one after the other, are less than transactions last.

Not Kafka's minute. A sink that cannot end its transaction in time ends the whole TaskManager (FATAL, "exception in
exception handler of task"). And a commit that was given up cannot be tried again by Flink; where the broker had done it
before it was killed, the next one after the restart is called fenced, which Flink logs as a loss.
"""
_CLEANUP_MS = 90_000
"""For what else a task does at its end."""


def configuration(spec: LiveSpec) -> dict[str, str]:
    """What the job cannot do without, or must not leave to the cluster."""
    return {
        "python.execution-mode": "thread",
        "pipeline.name": spec.name,
        "pipeline.max-parallelism": str(MAX_PARALLELISM),
        "pipeline.object-reuse": "true",
        "pipeline.auto-generate-uids": "false",  # a step without a uid would lose its state in an upgrade: an error
        "execution.buffer-timeout.interval": "10 ms",  # records wait so long for others at each exchange, not 100 ms
        "execution.checkpointing.interval": f"{spec.checkpoint_every_ms} ms",
        "execution.checkpointing.mode": "EXACTLY_ONCE",
        # well below the timeout of Kafka's transactions (sinks.py), in which records wait for their checkpoint
        "execution.checkpointing.timeout": "5 min",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        # a Redis or Kafka that does not answer for a while is no reason to start again from the last checkpoint
        "execution.checkpointing.tolerable-failed-checkpoints": "100",
        # a cancelled task waits for the broker to end its transaction; with Flink's own 3 min that ends the TaskManager
        "task.cancellation.timeout": f"{BROKER_AWAY_MS + _CLEANUP_MS} ms",
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "1 s",
        "restart-strategy.exponential-delay.max-backoff": "10 s",
    }
