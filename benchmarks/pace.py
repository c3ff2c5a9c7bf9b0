"""Sends a load as it is planned, with probes among it: customers nobody has seen, who enter a segment at once."""

import time
from dataclasses import dataclass

from confluent_kafka import Producer

from benchmarks.lapse import Sent
from operators.garbage import collect_seldom

TICK_S = 0.01
PROBE_SEGMENT = "recently-engaged"
"""Whoever orders is in it."""


@dataclass(frozen=True, slots=True)
class Probes:
    """The plan of the probes: one every `every_ms`, from `first_ms` (since the epoch) on, until there are `count`."""

    first_ms: int
    every_ms: int
    count: int

    def due(self, now_ms: int) -> range:
        """The numbers of those that are to have been sent by now."""
        return range(max(0, min(self.count, (now_ms - self.first_ms) // self.every_ms + 1)))

    def at_ms(self, number: int) -> int:
        """When one is to be sent."""
        return self.first_ms + number * self.every_ms

    @staticmethod
    def name(number: int) -> str:
        """Of the customer."""
        return f"probe-{number}"


@dataclass(frozen=True, slots=True)
class Paced:
    """What was sent."""

    probes: dict[str, int]
    """By customer, when its order was sent: epoch milliseconds."""
    behind_s: float
    """How far the producer was behind its own plan at worst."""


def stamped(at_ms: int, body: bytes) -> bytes:
    """A whole event of what stands behind its timestamp."""
    return b'{"timestamp":%d%b' % (at_ms, body)


def send(bootstrap: str, topic: str, start_ms: int, paced: list[Sent], probes: Probes) -> Paced:
    """Send each event at its time after `start_ms` (since the epoch), which is its timestamp, up to a tick later."""
    producer = Producer({
        "bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 2, "compression.type": "lz4",
        "queue.buffering.max.messages": 2_000_000,
    })  # fmt: skip
    collect_seldom()
    sent_ms: dict[str, int] = {}
    behind_ms = 0
    rest = iter(paced)
    following = next(rest, None)
    while following is not None or len(sent_ms) < probes.count:
        now_ms = _now_ms()
        if following is not None:
            behind_ms = max(behind_ms, now_ms - start_ms - following[0])
        while following is not None and start_ms + following[0] <= now_ms:
            at_ms, key, body = following
            producer.produce(topic, stamped(start_ms + at_ms, body), key=key, timestamp=start_ms + at_ms)
            following = next(rest, None)
        for number in probes.due(now_ms)[len(sent_ms) :]:
            name, at_ms = probes.name(number), probes.at_ms(number)
            order = b',"event_id":"%b","type":"order_completed","customer_id":"%b","order_id":"%b","total":10}'
            event = stamped(at_ms, order % ((name.encode(),) * 3))
            sent_ms[name] = _now_ms()
            producer.produce(topic, event, key=name.encode(), timestamp=at_ms)
        producer.poll(0)
        time.sleep(max(0.0, TICK_S - (_now_ms() - now_ms) / 1_000))
    producer.flush(30)
    return Paced(sent_ms, max(0.0, behind_ms / 1_000 - TICK_S))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
