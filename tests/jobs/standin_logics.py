"""Logics for tests of the graph: importable where the operators run."""

import json
import time
import traceback
from base64 import b64encode
from collections.abc import Iterable
from typing import Any

from pyflink.common import Row
from pyflink.datastream import KeyedProcessFunction

from operators.assign import AssignOperator
from operators.logic import Channel, KeyedStore, Output, PendingStore, Step, Totals, ValueStore
from operators.types import END_OF_TIME_MS
from schemas.writes import profile_write, similar_write
from state.tally import AssignTally, CustomerTally


class Recorder:
    """Tells of every event and timer, keeps a count, writes a profile each time and a message for an item."""

    def __init__(self) -> None:
        self.tally = CustomerTally()

    def on_event(self, key: str, payload: bytes, watermark_ms: int, store: KeyedStore) -> Step:
        count = int(store.load() or b"0") + 1
        store.save(b"%d" % count)
        store.put_chunk(count % 3, payload[:10])
        assert store.get_chunk(count % 3) == payload[:10]
        if count > 5:
            store.drop_chunk((count - 1) % 3)
        seen = {"key": key, "payload": b64encode(payload).decode(), "watermark_ms": watermark_ms, "count": count}
        outputs: list[Output] = [
            (Channel.SEGMENT_CHANGE, key, json.dumps(seen).encode()),
            (Channel.REDIS, key, profile_write(key, count, 1, {"count": count}, {"seen": 1}, ())),
            (Channel.ITEM, f"viewed-with|i{count % 7}", b"%d" % count),
        ]
        return (watermark_ms + 1_000 if watermark_ms > 0 and count % 10 == 0 else None), outputs

    def on_timer(self, key: str, time_ms: int, watermark_ms: int, store: KeyedStore) -> Step:
        count = int(store.load() or b"0")
        if time_ms == END_OF_TIME_MS:
            store.clear()
            return None, [(Channel.COUNTS, key, json.dumps({"key": key, "count": count}).encode())]
        fired = {"time_ms": time_ms, "watermark_ms": watermark_ms, "key": key}
        return None, [(Channel.REJECTED, key, json.dumps(fired).encode())]


class Summing:
    """Adds up what an item is told; messages wait in a list until there are ten."""

    def on_message(self, key: str, payload: bytes, store: PendingStore) -> Iterable[Output]:
        store.append(payload)
        return self._told(key, store) if len(store.pending()) == 10 else ()

    def on_end(self, key: str, store: PendingStore) -> Iterable[Output]:
        return self._told(key, store)

    def _told(self, key: str, store: PendingStore) -> Iterable[Output]:
        total = int(store.load() or b"0") + sum(map(int, store.pending()))
        store.save(b"%d" % total)
        store.drop_pending()
        packed = json.dumps({"item": key, "total": total}).encode()
        return [(Channel.TOTAL, key, packed), (Channel.ROW, key, packed)]


class Scoring:
    """At the end, writes every item's share in the sum of all totals."""

    def on_total(self, payload: bytes, totals: Totals) -> None:
        told = json.loads(payload)
        known = json.loads(totals.get("all") or b"{}")
        totals.put("all", json.dumps({**known, told["item"]: told["total"]}).encode())

    def on_row(
        self, key: str, payload: bytes, totals: Totals, store: ValueStore, watermark_ms: int
    ) -> Iterable[Output]:
        store.save(payload)
        return ()

    def on_end(self, key: str, totals: Totals, store: ValueStore) -> Iterable[Output]:
        known = json.loads(totals.get("all") or b"{}")
        share = json.loads(store.load() or b"{}")["total"] / sum(known.values())
        relation, _, item = key.partition("|")
        return [(Channel.REDIS, key, similar_write(relation, item, 1, 1, [("share", share, len(known))]))]


class Failing(Recorder):
    """Breaks at the third event."""

    def on_event(self, key: str, payload: bytes, watermark_ms: int, store: KeyedStore) -> Step:
        if payload.startswith(b"log:3\x1f"):
            raise ValueError("the third event is bad")
        return super().on_event(key, payload, watermark_ms, store)


class ShowingTheWay(Recorder):
    """Breaks at the first event and names the files on the way to it."""

    def on_event(self, key: str, payload: bytes, watermark_ms: int, store: KeyedStore) -> Step:
        raise ValueError(" ".join(frame.filename.rpartition("/")[2] for frame in traceback.extract_stack()))


class Looking:
    """An `AssignLogic` that takes its time over each customer, and says when it has seen whom, by the wall clock."""

    STANDING_S, LOOK_S = 0.003, 0.001

    def __init__(self) -> None:
        self.tally = AssignTally()

    def on_start(self, kept: Totals) -> bool:
        return False

    def on_broadcast(self, payload: bytes, kept: Totals) -> bool:
        return False

    def on_standing(self, key: str, payload: bytes, watermark_ms: int, store: ValueStore) -> Step:
        if payload.endswith(b"tick"):
            time.sleep(self.STANDING_S)
        store.save(payload)
        return None, [self._said(key, "came")]

    def on_timer(self, key: str, time_ms: int, watermark_ms: int, store: ValueStore) -> Step:
        if time_ms == END_OF_TIME_MS:
            return None, ()
        time.sleep(self.LOOK_S)
        assert store.load() is not None
        return None, [self._said(key, "looked at")]

    @staticmethod
    def _said(key: str, what: str) -> Output:
        return Channel.SEGMENT_CHANGE, key, json.dumps([key, what, time.monotonic()]).encode()


class WokenByRecord(AssignOperator):
    """Begins a round at a standing, so that it is known when; a view comes from another stream, whenever it does."""

    def process_element(self, value: bytes, ctx: Any) -> Any:
        self._to_wake |= value.endswith(b"wake")
        return super().process_element(value, ctx)


class PassedOn(KeyedProcessFunction):  # type: ignore[misc]
    """What comes, for the next operator; beside it a stream of nothing, with the watermarks."""

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Any:
        return [Row(ctx.get_current_key(), value)]
