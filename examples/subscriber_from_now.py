"""The same map without its history, from the compacted topic: `python examples/subscriber_from_now.py HOST:PORT`."""

import json
import sys
from collections.abc import Iterator
from contextlib import suppress

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition


def members(bootstrap: str, topic: str = "segment-memberships") -> Iterator[dict[str, dict[str, int]]]:
    """customer -> {segment: since_ms}; each record replaces what was known of its customer, and null removes it."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "none", "enable.auto.commit": False,
                         "isolation.level": "read_committed"})  # fmt: skip
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
    now: dict[str, dict[str, int]] = {}
    while True:
        message = consumer.poll(1.0)
        if message is None:
            yield now
        elif message.error():
            raise KafkaException(message.error())
        elif message.value() is None:
            now.pop(message.key().decode(), None)
        else:
            now[message.key().decode()] = json.loads(message.value())["segments"]


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):  # until Ctrl-C
        for found in members(*sys.argv[1:]):
            print(f"{len(found):,} customers in a segment")
