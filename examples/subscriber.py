"""Follows segment changes into a map that is always exact: `python examples/subscriber.py HOST:PORT`."""

import json
import sys
from collections.abc import Iterator
from contextlib import suppress

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition


def members(bootstrap: str, topic: str = "segment-changes") -> Iterator[dict[tuple[str, str], int]]:
    """(customer, segment) -> since_ms, from the first change on; yielded whenever there is nothing more for now."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "none", "enable.auto.commit": False,
                         "isolation.level": "read_committed"})  # fmt: skip
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
    now: dict[tuple[str, str], int] = {}
    while True:
        message = consumer.poll(1.0)
        if message is None:
            yield now
        elif message.error():
            raise KafkaException(message.error())
        else:
            change = json.loads(message.value())
            key = (change["customer_id"], change["segment"])
            if change["change"] == "entered":
                now[key] = change["since_ms"]
            else:
                now.pop(key, None)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):  # until Ctrl-C
        for found in members(*sys.argv[1:]):
            print(f"{len(found):,} memberships")
