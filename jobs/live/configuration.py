"""Flink's configuration of the live job: what must hold whichever cluster it runs on."""

from jobs.graph import MAX_PARALLELISM
from jobs.live.settings import LiveSpec


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
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "1 s",
        "restart-strategy.exponential-delay.max-backoff": "10 s",
    }
