"""Topics made, written and read with confluent-kafka, as tests need it."""

import time
from collections.abc import Iterable

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

_PATIENCE_S = 30.0


def make_topic(bootstrap: str, name: str, partitions: int = 1, copies: int = 1) -> None:
    """Make a topic and wait until it is there."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    admin.create_topics([NewTopic(name, partitions, copies)])[name].result(_PATIENCE_S)


def write(bootstrap: str, topic: str, values: Iterable[bytes], **settings: str | int) -> None:
    """Write values and wait until every broker that should has them."""
    failures: list[KafkaError] = []
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "log_level": 0, **settings})
    for value in values:
        producer.produce(topic, value, on_delivery=lambda error, _: failures.append(error) if error else None)
    assert producer.flush(_PATIENCE_S) == 0
    if failures:
        raise KafkaException(failures[0])


def read(bootstrap: str, topic: str, count: int, **settings: str | int) -> list[bytes]:
    """The first `count` committed values, or fewer if no more come in time."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "tests",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": "false",
            "isolation.level": "read_committed",
            "log_level": 0,
            **settings,
        }
    )
    consumer.subscribe([topic])
    found: list[bytes] = []
    deadline = time.monotonic() + _PATIENCE_S
    try:
        while len(found) < count and time.monotonic() < deadline:
            message = consumer.poll(0.5)
            if message is None:
                continue
            if message.error():
                raise KafkaException(message.error())
            found.append(message.value())
    finally:
        consumer.close()
    return found
