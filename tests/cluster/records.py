"""Everything that is in a topic now."""

import time
from uuid import uuid4

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

_PATIENCE_S = 30.0


def new_topic(bootstrap: str, stem: str, partitions: int = 2, **config: str) -> str:
    """Make a topic with a name of its own; `__` in names of settings stands for a full stop."""
    name = f"{stem}-{uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    settings = {key.replace("__", "."): value for key, value in config.items()}
    admin.create_topics([NewTopic(name, partitions, 1, config=settings)])[name].result(_PATIENCE_S)
    deadline = time.monotonic() + _PATIENCE_S
    while name not in (there := admin.list_topics(timeout=_PATIENCE_S).topics) or not there[name].partitions:
        assert time.monotonic() < deadline, "the broker does not hear of a topic that its controller has made"
        time.sleep(0.05)
    return name


def records(bootstrap: str, topic: str) -> list[Message]:
    """All committed records, partition by partition."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "tests-read",
            "enable.auto.commit": "false",
            "enable.partition.eof": "true",
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": "20",
            "log_level": 0,
        }
    )
    found: list[Message] = []
    try:
        open_parts = set(consumer.list_topics(topic, timeout=_PATIENCE_S).topics[topic].partitions)
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in open_parts])
        while open_parts:
            message = consumer.poll(_PATIENCE_S)
            assert message is not None
            error = message.error()
            if error is None:
                found.append(message)
                continue
            assert error.code() == KafkaError._PARTITION_EOF, error
            open_parts.discard(message.partition())
    finally:
        consumer.close()
    return sorted(found, key=lambda message: (message.partition(), message.offset()))


def produce(bootstrap: str, topic: str, *pairs: tuple[str | None, bytes | None], **settings: str) -> None:
    """Write (key, value) records and wait until they are there."""
    failures: list[KafkaError] = []
    producer = Producer({"bootstrap.servers": bootstrap, "log_level": 0, **settings})
    for key, value in pairs:
        producer.produce(topic, value, key, on_delivery=lambda error, _: failures.append(error) if error else None)
        producer.poll(0)
    assert producer.flush(_PATIENCE_S) == 0
    assert failures == []
