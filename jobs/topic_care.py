"""Makes the topics, and holds those that are there against what is needed."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from jobs.kafka_client import Errors, KafkaProblem, KafkaTarget
from jobs.topics import FOREVER, Topic

State = Literal["created", "fits", "differs", "missing", "repaired"]
PARTITIONS = 8
MOST_REPLICAS = 3
_AT_LEAST = ("retention.ms", "retention.bytes", "max.message.bytes", "message.timestamp.before.max.ms")
"""More of these does no harm; -1 is without end."""
_WAIT_S = 30.0
_KNOWN_WITHIN_S = 10.0
_LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting that is not as needed."""

    setting: str
    found: str
    needed: str
    repairable: bool


@dataclass(slots=True)
class Found:
    """A topic as it is."""

    topic: Topic
    state: State
    partitions: int = 0
    replication: int = 0
    differences: list[Difference] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "name": self.topic.name,
            "state": self.state,
            "partitions": self.partitions,
            "replication": self.replication,
            "differences": [
                {"setting": one.setting, "found": one.found, "needed": one.needed, "repairable": one.repairable}
                for one in self.differences
            ],
        }


class TopicCare:
    """Talks to one cluster about its topics."""

    def __init__(self, target: KafkaTarget) -> None:
        """Connect.

        Raises:
            KafkaProblem: no broker answers.
        """
        self._target = target
        self._admin: AdminClient = target.admin(Errors())
        metadata = target.metadata()
        self._brokers = len(metadata.brokers)
        self.names = frozenset(metadata.topics)
        """Topics that were there at the start."""

    def check(self, topics: Iterable[Topic], partitions: int | None, replication: int | None) -> list[Found]:
        """How the topics are; `partitions` and `replication` are compared where they are given."""
        wanted = list(topics)
        there = self._target.metadata().topics
        configs = self.configs([topic.name for topic in wanted if topic.name in there])
        found = []
        for topic in wanted:
            if topic.name not in there:
                found.append(Found(topic, "missing"))
                continue
            parts = there[topic.name].partitions
            one = Found(topic, "fits", len(parts), min((len(part.replicas) for part in parts.values()), default=0))
            one.differences = list(_differences(one, configs[topic.name], topic.partitions or partitions, replication))
            one.state = "differs" if one.differences else "fits"
            found.append(one)
        return found

    def create(
        self, topics: Iterable[Topic], partitions: int | None, replication: int | None, *, repair: bool
    ) -> list[Found]:
        """Make what is missing; with `repair` set what differs, where a setting can be changed."""
        before = self.check(topics, partitions, replication)
        new = [found.topic for found in before if found.state == "missing"]
        mended = [found for found in before if repair and any(one.repairable for one in found.differences)]
        self._make(new, partitions or PARTITIONS, replication or min(MOST_REPLICAS, self._brokers))
        for found in mended:
            self._alter(found)
        created, repaired = {topic.name for topic in new}, {found.topic.name for found in mended}
        after = self._after([found.topic for found in before], partitions, replication, created | repaired)
        for found in after:
            if found.state == "fits" and found.topic.name in created:
                found.state = "created"
            elif found.state == "fits" and found.topic.name in repaired:
                found.state = "repaired"
        return after

    def _after(
        self, topics: list[Topic], partitions: int | None, replication: int | None, changed: set[str]
    ) -> list[Found]:
        """How the topics are once the brokers know of what the controller has changed, which takes them a moment."""
        until = time.monotonic() + _KNOWN_WITHIN_S
        while True:
            after = self.check(topics, partitions, replication)
            behind = [found for found in after if found.topic.name in changed and _may_be_behind(found)]
            if not behind or time.monotonic() > until:
                return after
            time.sleep(_LOOK_S)

    def configs(self, names: Iterable[str]) -> dict[str, dict[str, str]]:
        """The settings in force of topics that exist."""
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        if not resources:
            return {}
        answers = self._admin.describe_configs(resources, request_timeout=_WAIT_S)
        return {
            resource.name: {name: entry.value for name, entry in self._result(future).items()}
            for resource, future in answers.items()
        }

    def topic_id(self, name: str) -> str:
        """Kafka's own id of a topic: another one if it is deleted and made again."""
        return str(self._result(self._admin.describe_topics(TopicCollection([name]))[name]).topic_id)

    def _make(self, topics: list[Topic], partitions: int, replication: int) -> None:
        if not topics:
            return
        safety = {"min.insync.replicas": str(max(1, replication - 1))}
        new = [
            NewTopic(topic.name, topic.partitions or partitions, replication, config={**safety, **topic.config})
            for topic in topics
        ]
        for future in self._admin.create_topics(new, operation_timeout=_WAIT_S).values():
            try:
                self._result(future)
            except _ExistsError:
                continue  # somebody was quicker: the check that follows looks at it

    def _alter(self, found: Found) -> None:
        entries = [
            ConfigEntry(one.setting, one.needed, incremental_operation=AlterConfigOpType.SET)
            for one in found.differences
            if one.repairable
        ]
        resource = ConfigResource(ResourceType.TOPIC, found.topic.name, incremental_configs=entries)
        for future in self._admin.incremental_alter_configs([resource], request_timeout=_WAIT_S).values():
            self._result(future)

    def _result(self, future: Any) -> Any:
        try:
            return future.result(timeout=2 * _WAIT_S)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                raise _ExistsError from None
            raise self._target.problem(error.args[0]) from None


class _ExistsError(KafkaProblem):
    """A topic was made by somebody else in the meantime."""


def _may_be_behind(found: Found) -> bool:
    return found.state == "missing" or any(one.repairable for one in found.differences)


def _differences(
    found: Found, config: Mapping[str, str], partitions: int | None, replication: int | None
) -> Iterable[Difference]:
    if partitions is not None and found.partitions != partitions:
        # not repairable: a key would go to another partition from then on, and so overtake its own past
        yield Difference("partitions", str(found.partitions), str(partitions), repairable=False)
    if replication is not None and found.replication != replication:
        yield Difference("replication", str(found.replication), str(replication), repairable=False)
    for name, needed in found.topic.config.items():
        if not fits(name, config.get(name, ""), needed):
            yield Difference(name, config.get(name, ""), needed, repairable=True)
    in_sync = int(config.get("min.insync.replicas", "1"))
    if in_sync > found.replication:
        # no record that all replicas have to confirm could ever be written
        yield Difference("min.insync.replicas", str(in_sync), str(max(1, found.replication - 1)), repairable=True)


def fits(setting: str, found: str, needed: str) -> bool:
    """Whether a topic's setting will do: equal, or more of what may be more."""
    if setting not in _AT_LEAST or found == needed:
        return found == needed
    if FOREVER in (found, needed):
        return found == FOREVER
    return int(found) >= int(needed)
