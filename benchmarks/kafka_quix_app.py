"""The customer logic in Quix Streams, from a Kafka topic to a Kafka topic; run by `benchmarks.kafka_peers`, elsewhere.

    python -m benchmarks.kafka_quix_app BOOTSTRAP TOPIC OUT_TOPIC NEWEST_MS TOTAL STATE_FOLDER

One process, exactly-once, state in RocksDB with a changelog topic, as Quix has it by default. It has no timers: what is
out of order is put right at the customer's next event. Prints one JSON object.
"""

import json
import resource
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterable
from typing import Any

from quixstreams import Application, State

from benchmarks.marks import Marks
from schemas.settings import Settings
from state.channels import Channel
from state.customer.counts import NEVER_MS
from state.customer.logic import CustomerLogic
from state.rules.ruleset import load_rules
from state.similar.settings import SimilarSettings


class QuixStore:
    """Quix's state of the current key behind the store that the logic asks for."""

    state: State

    def load(self) -> bytes | None:
        """The packed value."""
        return self.state.get_bytes("packed")

    def save(self, packed: bytes) -> None:
        """Write it."""
        self.state.set_bytes("packed", packed)

    def clear(self) -> None:
        """Drop it."""
        self.state.delete("packed")

    def get_chunk(self, number: int) -> bytes | None:
        """A sealed chunk."""
        return self.state.get_bytes(str(number))

    def put_chunk(self, number: int, chunk: bytes) -> None:
        """Write one."""
        self.state.set_bytes(str(number), chunk)

    def drop_chunk(self, number: int) -> None:
        """Drop one."""
        self.state.delete(str(number))


def main(bootstrap: str, topic: str, out_topic: str, newest_ms: str, total: str, state_folder: str) -> None:
    """Run it and print what was measured."""
    logic = CustomerLogic(Settings(), load_rules(), SimilarSettings(), as_of_ms=int(newest_ms))
    app = Application(
        broker_address=bootstrap,
        consumer_group=f"quix-{uuid.uuid4().hex}",
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        state_dir=state_folder,
        loglevel="WARNING",
    )
    marks, store, counts = Marks(int(total)), QuixStore(), Counter[int]()
    behind_ms = Settings().out_of_orderness_ms
    watermark_ms = -1
    wake_ms: dict[str, int] = {}  # of customers with events out of order: put right at their next event

    def apply(value: bytes, key: str, timestamp: int, headers: Any, state: State) -> Iterable[bytes]:
        nonlocal watermark_ms
        marks.step()
        store.state = state
        said = []
        if wake_ms and watermark_ms >= wake_ms.get(key, NEVER_MS):
            said += logic.on_timer(key, wake_ms.pop(key), watermark_ms, store)[1]
        due_ms, outputs = logic.on_event(key, b"\x1f" + value, watermark_ms, store)
        if due_ms is not None:
            wake_ms[key] = min(due_ms, wake_ms.get(key, due_ms))
        watermark_ms = max(watermark_ms, timestamp - behind_ms)
        said += outputs
        counts.update(int(channel) for channel, _, _ in said)
        return [payload for channel, _, payload in said if channel == Channel.SEGMENT_CHANGE]

    events = app.topic(topic, key_deserializer="str", value_deserializer="bytes")
    changes = app.topic(out_topic, key_serializer="str", value_serializer="bytes")
    frame = app.dataframe(events)
    frame.apply(apply, stateful=True, metadata=True, expand=True).to_topic(changes)
    began = time.monotonic()
    app.run(timeout=IDLE_S)
    wall_s = time.monotonic() - began - IDLE_S
    used = resource.getrusage(resource.RUSAGE_SELF)
    assert marks.done == marks.total, f"{marks.done} of {marks.total} events"
    print(json.dumps({
        "steady_per_s": marks.steady_per_s(),
        "wall_s": wall_s,
        "cpu_s": used.ru_utime + used.ru_stime,
        "changes": counts[int(Channel.SEGMENT_CHANGE)],
    }))  # fmt: skip


IDLE_S = 10.0
"""Quix ends after so long without a new record."""

if __name__ == "__main__":
    main(*sys.argv[1:])
