"""Topics made, written and read with confluent-kafka, as tests need it."""

from uuid import uuid4

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic

from tests.cluster.waiting import until

_PATIENCE_S = 60.0
Row = tuple[str | bytes | None, bytes | None] | tuple[str | bytes | None, bytes | None, int]
"""Key, value, and the time of the record in ms, if it is not to be now."""


def new_topic(bootstrap: str, stem: str, partitions: int = 2, copies: int = 1, **config: str) -> str:
    """Make a topic with a name of its own; `__` in names of settings stands for a full stop."""
    name = f"{stem}-{uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    settings = {key.replace("__", "."): value for key, value in config.items()}
    admin.create_topics([NewTopic(name, partitions, copies, config=settings)])[name].result(_PATIENCE_S)

    def known() -> bool:
        """The broker hears later of a topic than the controller that made it."""
        there = admin.list_topics(timeout=_PATIENCE_S).topics
        return name in there and bool(there[name].partitions)

    until(known, f"the broker knows {name}")
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


def values(bootstrap: str, topic: str) -> list[bytes]:
    """Those of all committed records, in order of their bytes; of a record without a value, nothing."""
    return sorted(message.value() for message in records(bootstrap, topic) if message.value() is not None)


def produce(bootstrap: str, topic: str, *rows: Row, **settings: str | int) -> None:
    """Write records and wait until every broker that should has them. `__` in names of settings: a full stop.

    Raises:
        KafkaException: of the first one that was not taken.
    """
    failures: list[KafkaError] = []
    more = {name.replace("__", "."): value for name, value in settings.items()}
    producer = Producer({"bootstrap.servers": bootstrap, "message.max.bytes": 12 << 20, "log_level": 0, **more})
    for key, value, *time_ms in rows:
        at_ms = time_ms[0] if time_ms else 0
        producer.produce(
            topic, value, key, timestamp=at_ms, on_delivery=lambda error, _: failures.append(error) if error else None
        )
        producer.poll(0)
    assert producer.flush(_PATIENCE_S) == 0
    if failures:
        raise KafkaException(failures[0])
