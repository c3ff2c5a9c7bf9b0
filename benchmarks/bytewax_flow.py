"""The customer logic in a Bytewax dataflow; run by `benchmarks.bytewax_peer` in an environment of its own.

    python -m benchmarks.bytewax_flow EVENTS.jsonl NEWEST_MS TOTAL [RECOVERY_FOLDER]

One worker: a source that reads JSON lines and keys them, one `stateful_batch` step with the customer logic, a sink that
counts. Prints one JSON object.
"""

import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op
import msgspec
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.operators import StatefulBatchLogic
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import run_main

from benchmarks.marks import STEADY_FROM, STEADY_TO
from schemas.settings import Settings
from schemas.timestamps import parse_rfc3339
from state.channels import Channel, Output
from state.customer.counts import NEVER_MS
from state.customer.logic import CustomerLogic
from state.local import DictStore
from state.rules.ruleset import load_rules
from state.similar.settings import SimilarSettings

BATCH = 1_000
EPOCH = timedelta(seconds=10)
"""Bytewax's default: with recovery, the states that changed are stored this often."""

Event = tuple[str, int, bytes]
"""(subject, watermark before this event, payload): Bytewax does not tell a step's logic which key it is for."""


class Envelope(msgspec.Struct):
    """What the source must know of an event: whose it is and when."""

    timestamp: str | int
    customer_id: str | None = None
    anonymous_id: str | None = None


class Lines(StatefulSourcePartition[tuple[str, Event], int]):
    """Reads a file from a byte on, in batches; the watermark follows the newest event as it does in the job."""

    def __init__(self, path: Path, at: int, total: int) -> None:
        self._file = path.open("rb")
        self._file.seek(at)
        self._decode = msgspec.json.Decoder(Envelope).decode
        self._behind_ms = Settings().out_of_orderness_ms
        self._watermark_ms, self._read, self._total = -1, 0, total
        self.steady: list[tuple[int, float]] = []

    def next_batch(self) -> Iterable[tuple[str, Event]]:
        """Up to a thousand events."""
        self._note()
        batch: list[tuple[str, Event]] = []
        for line in self._file:
            raw = line[:-1]
            event = self._decode(raw)
            key = event.customer_id or event.anonymous_id or ""
            batch.append((key, (key, self._watermark_ms, b"\x1f" + raw)))
            at = event.timestamp
            time_ms = at if isinstance(at, int) else parse_rfc3339(at)
            self._watermark_ms = max(self._watermark_ms, time_ms - self._behind_ms)
            if len(batch) == BATCH:
                break
        if not batch:
            raise StopIteration
        self._read += len(batch)
        return batch

    def snapshot(self) -> int:
        """Where to go on."""
        return self._file.tell()

    def _note(self) -> None:
        """Bytewax asks for the next batch when the last one is through all steps."""
        if STEADY_FROM <= self._read / self._total <= STEADY_TO:
            self.steady = [*self.steady[:1], (self._read, time.monotonic())]
            MEASURED["steady"] = self.steady


class LinesSource(FixedPartitionedSource[tuple[str, Event], int]):
    """One file, one partition."""

    def __init__(self, path: Path, total: int) -> None:
        self._path, self._total = path, total

    def list_parts(self) -> list[str]:
        """The file."""
        return [self._path.name]

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> Lines:
        """Read on from where it was."""
        return Lines(self._path, resume_state or 0, self._total)


class PackedCustomer(StatefulBatchLogic[Event, Output, tuple[str, bytes | None]]):
    """One customer in Bytewax: its snapshot is the packed state, which the logic makes with every event."""

    def __init__(self, logic: CustomerLogic, snapshot: tuple[str, bytes | None] | None) -> None:
        self._logic, self._store, self._wake_ms = logic, DictStore(), NEVER_MS
        self._key, self._store.packed = snapshot or ("", None)

    def on_batch(self, values: list[Event]) -> tuple[list[Output], bool]:
        """Events of this customer, in order; a timer that is due goes first."""
        said: list[Output] = []
        for self._key, watermark_ms, payload in values:
            if watermark_ms >= self._wake_ms:
                said += self._wake(self._wake_ms, watermark_ms)
            wake_ms, outputs = self._logic.on_event(self._key, payload, watermark_ms, self._store)
            if wake_ms is not None:
                self._wake_ms = min(self._wake_ms, wake_ms)
            said += outputs
        return said, StatefulBatchLogic.RETAIN

    def on_eof(self) -> tuple[list[Output], bool]:
        """The end of the run: everything as of its newest event."""
        said = self._wake(self._wake_ms, NEVER_MS) if self._wake_ms < NEVER_MS else []
        return said + self._wake(NEVER_MS, NEVER_MS), StatefulBatchLogic.RETAIN

    def snapshot(self) -> tuple[str, bytes | None]:
        """The packed state."""
        return self._key, self._store.packed

    def _wake(self, time_ms: int, watermark_ms: int) -> list[Output]:
        wake_ms, outputs = self._logic.on_timer(self._key, time_ms, watermark_ms, self._store)
        self._wake_ms = NEVER_MS if wake_ms is None else wake_ms
        return list(outputs)


class Counted(StatelessSinkPartition[tuple[str, Output]]):
    """Counts outputs by channel."""

    def write_batch(self, items: list[tuple[str, Output]]) -> None:
        """So many more."""
        OUTPUTS.update(output[0] for _, output in items)


class CountingSink(DynamicSink[tuple[str, Output]]):
    """A sink that keeps nothing."""

    def build(self, step_id: str, worker_index: int, worker_count: int) -> Counted:
        """One for the one worker."""
        return Counted()


OUTPUTS: Counter[int] = Counter()
MEASURED: dict[str, Any] = {}


def flow(path: Path, newest_ms: int, total: int) -> Dataflow:
    """The dataflow."""
    settings = msgspec.structs.replace(Settings(), profile_interval_ms=NEVER_MS, profile_refresh_ms=0)
    logic = CustomerLogic(settings, load_rules(), SimilarSettings(), as_of_ms=newest_ms)
    dataflow = Dataflow("customers")
    events = op.input("events", dataflow, LinesSource(path, total))
    said = op.stateful_batch("customer", events, lambda snapshot: PackedCustomer(logic, snapshot))
    op.output("outputs", said, CountingSink())
    return dataflow


def main(path: str, newest_ms: str, total: str, recovery_folder: str | None = None) -> None:
    """Run it and print what was measured."""
    recovery = None
    if recovery_folder is not None:
        init_db_dir(Path(recovery_folder), 1)
        recovery = RecoveryConfig(recovery_folder)
    began = time.monotonic()
    run_main(flow(Path(path), int(newest_ms), int(total)), epoch_interval=EPOCH, recovery_config=recovery)
    wall_s = time.monotonic() - began
    used = resource.getrusage(resource.RUSAGE_SELF)
    (first, first_s), (last, last_s) = MEASURED["steady"]
    found = {
        "steady_per_s": (last - first) / (last_s - first_s),
        "wall_s": wall_s,
        "cpu_s": used.ru_utime + used.ru_stime,
        "outputs": {Channel(channel).name: count for channel, count in sorted(OUTPUTS.items())},
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
