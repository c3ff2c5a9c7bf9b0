"""Every Kafka topic there is, in one place: names, what stands in them, and what a broker must be told about them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

FOREVER = "-1"
DAY_MS = 86_400_000
REJECTED_KEPT_MS = 30 * DAY_MS
MAX_EVENT_BYTES = 12 << 20
"""A record far above `max_record_bytes` must still come as far as the job, which rejects it with a reason."""
MAX_REJECTED_BYTES = 4 << 20
"""256 KiB of a raw record, each byte of which may be written as six characters, and the fields around it."""
MAX_FUTURE_MS = DAY_MS
"""A record's timestamp moves the clock of the job: the broker refuses what is further ahead of its own clock."""
LONGEST = 2**63 - 1
"""What Kafka takes for "no limit" where -1 is not allowed."""

NAME = "[a-zA-Z0-9._-]{1,249}"
"""What Kafka allows as a topic's name."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as Segmill needs it."""

    name: str
    key: str
    """What its keys are, for people."""
    config: Mapping[str, str] = field(hash=False)
    """Settings of the topic, all of which matter."""
    partitions: int | None = None
    """How many it must have; None: as many as one likes."""


@dataclass(frozen=True, slots=True)
class Topics:
    """Names of the topics below one prefix."""

    prefix: str = ""

    @property
    def events(self) -> Topic:
        """Canonical events. They may be years old, so nothing is deleted by age."""
        return self._topic(
            "events",
            "anything",
            _KEPT
            | {
                "max.message.bytes": str(MAX_EVENT_BYTES),
                # event time is the record's timestamp: the producer's, however old
                "message.timestamp.type": "CreateTime",
                "message.timestamp.before.max.ms": str(LONGEST),
                "message.timestamp.after.max.ms": str(MAX_FUTURE_MS),
            },
        )

    @property
    def segment_changes(self) -> Topic:
        """Every entry and exit. Whole, so that a subscriber can begin at the beginning."""
        return self._topic("segment-changes", "customer id", _KEPT)

    @property
    def segment_memberships(self) -> Topic:
        """The current memberships of each customer, in segments that own facts decide; null: none."""
        return self._topic("segment-memberships", "customer id", _COMPACTED)

    @property
    def population_memberships(self) -> Topic:
        """The same of the segments that ask about the population, which others write."""
        return self._topic("population-memberships", "customer id", _COMPACTED)

    @property
    def events_rejected(self) -> Topic:
        """What could not be applied, and why."""
        return self._topic(
            "events-rejected",
            "none",
            {
                "cleanup.policy": "delete",
                "retention.ms": str(REJECTED_KEPT_MS),
                "max.message.bytes": str(MAX_REJECTED_BYTES),
            },
        )

    @property
    def similar_items(self) -> Topic:
        """The list of each item; null: withdrawn."""
        return self._topic("similar-items", "relation|item", _COMPACTED)

    @property
    def models(self) -> Topic:
        """What is new of the population: versions, clusters that come and go, drift."""
        return self._topic("models", "kind of event", _KEPT)

    @property
    def control(self) -> Topic:
        """Rules and settings for running jobs; one partition, so that there is one order."""
        return self._topic("control", "rules, settings", _KEPT, 1)

    @property
    def of_population(self) -> tuple[Topic, ...]:
        """Those that only a job with a population writes."""
        return self.population_memberships, self.models

    @property
    def all(self) -> tuple[Topic, ...]:
        """Those of a live job."""
        return (
            self.events,
            self.segment_changes,
            self.segment_memberships,
            self.events_rejected,
            self.similar_items,
            *self.of_population,
            self.control,
        )

    def _topic(self, name: str, key: str, config: Mapping[str, str], partitions: int | None = None) -> Topic:
        return Topic(self.prefix + name, key, config, partitions)


def taken_for(name: str) -> str | None:
    """Which topic of a job this could be, below some prefix: its name without that; None: none of them."""
    return next((topic.name for topic in Topics().all if name.endswith(topic.name)), None)


_KEPT = {"cleanup.policy": "delete", "retention.ms": FOREVER, "retention.bytes": FOREVER}
_COMPACTED = {"cleanup.policy": "compact"}
