"""A topic full of events to measure with, and what came out at the other end."""

from collections.abc import Iterable

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.workload import Record
from state.customer.logic import PLACE_END

_ANSWER_S = 30.0


def make_topic(bootstrap: str, name: str, partitions: int) -> None:
    """A new topic that keeps everything, however old."""
    topic = NewTopic(name, num_partitions=partitions, replication_factor=1, config={"retention.ms": "-1"})
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for done in admin.create_topics([topic]).values():
        done.result(_ANSWER_S)


def fill(bootstrap: str, topic: str, made: Iterable[Record]) -> None:
    """Produce the records, keyed by subject, each with its event time."""
    producer = Producer({
        "bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 20, "compression.type": "lz4",
        "queue.buffering.max.messages": 2_000_000,
    })  # fmt: skip
    for key, time_ms, payload in made:
        producer.produce(topic, payload.partition(PLACE_END)[2], key=key.encode(), timestamp=time_ms)
        producer.poll(0)
    left = producer.flush(_ANSWER_S * 4)
    assert not left, f"{left} records were not taken"


def committed(bootstrap: str, topic: str) -> int:
    """How many records a reader of committed ones finds in a topic."""
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": "count", "isolation.level": "read_committed",
        "enable.auto.commit": False, "enable.partition.eof": True,
    })  # fmt: skip
    partitions = consumer.list_topics(topic, _ANSWER_S).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
    found, ended = 0, 0
    while ended < len(partitions):
        for message in consumer.consume(10_000, 1.0):
            if message.error() is None:
                found += 1
            else:
                ended += 1
    consumer.close()
    return found
