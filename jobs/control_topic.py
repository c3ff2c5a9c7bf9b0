"""The control topic from outside: what is in it, and how to add to it."""

from dataclasses import dataclass

from confluent_kafka import OFFSET_BEGINNING, KafkaError, TopicPartition

from jobs.kafka_client import Errors, KafkaProblem, KafkaTarget
from jobs.topics import Topic
from schemas.control import Control, encode_control
from schemas.headers import SCHEMA_VERSION_HEADER
from schemas.rejects import Rejected
from schemas.settings import Settings
from state.customer.book import check_control
from state.rules.ruleset import parse_rules

_WITHIN_S = 15.0


@dataclass(frozen=True, slots=True)
class Published:
    """A record of the topic, as a job with the default settings judges it."""

    offset: int
    published_ms: int
    control: Control | None
    refused: str = ""
    """Why it cannot take effect, if it cannot."""

    @property
    def version(self) -> str | None:
        """Version of its rules, where it has any that can take effect."""
        if self.control is None or self.control.rules is None:
            return None
        return parse_rules(self.control.rules, "rules").version


def read_control(target: KafkaTarget, topic: Topic) -> list[Published]:
    """All committed records, in order.

    Raises:
        KafkaProblem: the topic is missing, or no broker answers.
    """
    if topic.name not in target.metadata().topics:
        raise KafkaProblem(f"no topic {topic.name}; `segmill topics create` makes those of a live job")
    errors = Errors()
    fixed = {"group.id": "segmill-control-show", "enable.auto.commit": "false", "enable.partition.eof": "true"}
    consumer = target.consumer(errors, {**fixed, "isolation.level": "read_committed"})
    found: list[Published] = []
    try:
        consumer.assign([TopicPartition(topic.name, 0, OFFSET_BEGINNING)])
        while True:
            message = consumer.poll(_WITHIN_S)
            if message is None:
                raise KafkaProblem(f"Kafka at {target.bootstrap}: {topic.name} is silent for {_WITHIN_S:.0f} s")
            error = message.error()
            if error is not None and error.code() == KafkaError._PARTITION_EOF:
                return found
            if error is not None:
                raise target.problem(error)
            found.append(_judged(message.offset() or 0, message.timestamp()[1], message.value() or b""))
    finally:
        consumer.close()


def _judged(offset: int, published_ms: int, raw: bytes) -> Published:
    try:
        return Published(offset, published_ms, check_control(raw, Settings()))
    except Rejected as rejected:
        return Published(offset, published_ms, None, rejected.detail)


def publish_control(target: KafkaTarget, topic: Topic, control: Control) -> int:
    """Add a record and wait until the brokers have it; its offset.

    Raises:
        KafkaProblem: they do not take it.
    """
    if topic.name not in target.metadata().topics:
        raise KafkaProblem(f"no topic {topic.name}; `segmill topics create` makes those of a live job")
    errors = Errors()
    producer = target.producer(errors, {"enable.idempotence": True}, {"delivery.timeout.ms": 30_000})
    delivered: list[int] = []
    failed: list[KafkaError] = []

    def told(error: KafkaError | None, message: object) -> None:
        if error is not None:
            failed.append(error)
        else:
            delivered.append(message.offset())  # type: ignore[attr-defined]

    producer.produce(
        topic.name, encode_control(control), control.kind, 0, headers=[SCHEMA_VERSION_HEADER], on_delivery=told
    )
    producer.flush()
    if failed:
        raise target.problem(errors.worst or failed[0])
    return delivered[0]
