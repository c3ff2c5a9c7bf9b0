"""The customer logic in Bytewax, from a Kafka topic to a Kafka topic; run by `benchmarks.kafka_peers`, elsewhere.

    python -m benchmarks.kafka_bytewax_flow BOOTSTRAP TOPIC OUT_TOPIC NEWEST_MS TOTAL RECOVERY_FOLDER

One worker. Bytewax's strongest guarantee for this: snapshots of the packed states every ten seconds, at-least-once
output. Prints one JSON object.
"""

import json
import resource
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulBatchLogic
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import run_main

from benchmarks.bytewax_flow import BATCH, EPOCH, Event, PackedCustomer
from benchmarks.marks import Marks
from schemas.settings import Settings
from state.channels import Channel, Output
from state.customer.logic import CustomerLogic
from state.rules.ruleset import load_rules
from state.similar.settings import SimilarSettings


class Keyed:
    """Gives each record its key and the watermark of its moment."""

    def __init__(self, total: int) -> None:
        self._behind_ms = Settings().out_of_orderness_ms
        self._watermark_ms = -1
        self.marks = Marks(total)

    def __call__(self, message: Any) -> tuple[str, Event]:
        """One record."""
        assert isinstance(message, KafkaSourceMessage)
        assert message.key is not None
        assert message.timestamp is not None
        self.marks.step()
        key = message.key.decode()
        event = (
            key,
            self._watermark_ms,
            b"%s:%d:%d\x1f%b" % (b"events", message.partition, message.offset, message.value),
        )
        self._watermark_ms = max(self._watermark_ms, message.timestamp[1] - self._behind_ms)
        return key, event


class Customer(PackedCustomer):
    """One customer; a topic has no end at which its books were closed."""

    def on_eof(self) -> tuple[list[Output], bool]:
        """Nothing more is said."""
        return [], StatefulBatchLogic.RETAIN


COUNTS: Counter[int] = Counter()


def _change(said: tuple[str, Output]) -> KafkaSinkMessage[bytes, bytes] | None:
    channel, key, payload = said[1]
    COUNTS[int(channel)] += 1
    return KafkaSinkMessage(key.encode(), payload) if channel == Channel.SEGMENT_CHANGE else None


def main(bootstrap: str, topic: str, out_topic: str, newest_ms: str, total: str, recovery_folder: str) -> None:
    """Run it and print what was measured."""
    logic = CustomerLogic(Settings(), load_rules(), SimilarSettings(), as_of_ms=int(newest_ms))
    keyed = Keyed(int(total))
    dataflow = Dataflow("customers")
    source = KafkaSource([bootstrap], [topic], tail=False, batch_size=BATCH)
    events = op.map("key", op.input("events", dataflow, source), keyed)
    said = op.stateful_batch("customer", events, lambda snapshot: Customer(logic, snapshot))
    op.output("changes", op.filter_map("change", said, _change), KafkaSink([bootstrap], out_topic))
    Path(recovery_folder).mkdir(exist_ok=True)
    init_db_dir(Path(recovery_folder), 1)
    began = time.monotonic()
    run_main(dataflow, epoch_interval=EPOCH, recovery_config=RecoveryConfig(recovery_folder))
    wall_s = time.monotonic() - began
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({
        "steady_per_s": keyed.marks.steady_per_s(),
        "wall_s": wall_s,
        "cpu_s": used.ru_utime + used.ru_stime,
        "changes": COUNTS[int(Channel.SEGMENT_CHANGE)],
    }))  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
