"""Events of now at a steady rate, with probes among them: customers nobody has seen, who enter a segment at once."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

from confluent_kafka import Producer

from jobs.simulation import SimulationSettings, simulate

TICK_S = 0.01
PROBE_SEGMENT = "recently-engaged"
"""Whoever orders is in it."""


@dataclass(frozen=True, slots=True)
class Paced:
    """What was sent."""

    probes: dict[str, int]
    """By customer, when its order was sent: epoch milliseconds."""
    behind_s: float
    """How far the producer was behind its own plan at worst."""


def timeless(events: int) -> Iterator[tuple[bytes, bytes]]:
    """The default mix as (key, event without its beginning), to be put behind a timestamp of now."""
    for line in simulate(SimulationSettings(events=events)):
        event = json.loads(line)
        del event["timestamp"]
        yield (
            str(event.get("customer_id") or event.get("anonymous_id")).encode(),
            b"," + json.dumps(event, ensure_ascii=False).encode()[1:],
        )


def send(bootstrap: str, topic: str, rate: int, warm_s: float, timed_s: float, probes_per_s: int) -> Paced:
    """Send `rate` events a second; probes only once it is warm."""
    made = list(timeless(int(rate * (warm_s + timed_s))))
    producer = Producer({
        "bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 2, "compression.type": "lz4",
    })  # fmt: skip
    probes: dict[str, int] = {}
    behind_s = 0.0
    sent = 0
    began = time.monotonic()
    while sent < len(made):
        passed_s = time.monotonic() - began
        due = min(len(made), int(passed_s * rate) + 1)
        behind_s = max(behind_s, (due - sent) / rate - TICK_S)
        now_ms = time.time_ns() // 1_000_000
        stamp = b'{"timestamp":%d' % now_ms
        for key, rest in made[sent:due]:
            producer.produce(topic, stamp + rest, key=key, timestamp=now_ms)
        sent = due
        while passed_s > warm_s and len(probes) < (passed_s - warm_s) * probes_per_s:
            name = f"probe-{len(probes)}"
            now_ms = probes[name] = time.time_ns() // 1_000_000
            event = (
                f'{{"timestamp":{now_ms},"event_id":"{name}","type":"order_completed","customer_id":"{name}",'
                f'"order_id":"{name}","total":10}}'
            )
            producer.produce(topic, event.encode(), key=name.encode(), timestamp=now_ms)
        producer.poll(0)
        time.sleep(max(0.0, TICK_S - (time.monotonic() - began - passed_s)))
    producer.flush(30)
    return Paced(probes, behind_s)
