"""What a live job is told."""

from dataclasses import dataclass, field

from jobs.kafka_client import KafkaTarget
from jobs.topics import Topic, Topics
from operators.redis_connection import RedisTarget
from schemas.settings import Settings
from state.population.settings import population_settings

NAME = "segmill"
QUIET_AFTER_MS = 10_000
CHECKPOINT_EVERY_MS = 5_000


@dataclass(frozen=True, slots=True)
class LiveSpec:
    """What a live job reads, computes and writes."""

    kafka: KafkaTarget
    redis: RedisTarget
    settings: Settings
    rules: str = field(repr=False)
    """Text of the rule file."""
    rules_source: str
    """Its name, for messages."""
    rule_version: str = ""
    """Of these; the `meta` hash says which version is in force."""
    topics: Topics = field(default_factory=Topics)
    name: str = NAME
    """Of the job; part of its transactions and of its consumer group, so no two running jobs may share it."""
    parallelism: int = 1
    items_apart: bool = False
    """Whether the item side has slots of its own, as many as `parallelism` again."""
    starting: str = "earliest"
    """Where a job without a savepoint begins: `earliest` or `latest`."""
    quiet_after_ms: int = QUIET_AFTER_MS
    """A partition that was silent for so long holds nobody back; if all were, time goes on by the clock."""
    checkpoint_every_ms: int = CHECKPOINT_EVERY_MS
    """Also how long it takes until a record can be read by others."""

    @property
    def slots(self) -> int:
        """How many the job takes."""
        return 2 * self.parallelism if self.items_apart else self.parallelism

    @property
    def needed_topics(self) -> tuple[Topic, ...]:
        """Those that the job reads or writes; some only with a population."""
        enabled = population_settings(self.settings).enabled
        return tuple(one for one in self.topics.all if enabled or one not in self.topics.of_population)
