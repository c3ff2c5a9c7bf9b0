"""Customers, items and lists together, without an engine: what a run of all operators leaves in Redis."""

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import msgpack
from customer_runs import NOW_MS, PATIENT, key_and_time

from schemas.profiles import merged
from schemas.settings import Settings
from schemas.writes import WriteKind
from state.channels import Channel, Output
from state.customer.logic import CustomerLogic
from state.items.item import ItemLogic
from state.items.publish import PublishLogic
from state.local import DictStore, LocalRun
from state.publications import Announcement
from state.rules.ruleset import RuleSet
from state.similar.settings import SimilarSettings

Left = dict[str, Any]
NO_TIME_MS = -(1 << 63)  # a watermark that has not come yet


class ItemStore(DictStore):
    """A packed value and messages that are not in it yet."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[bytes] = []

    def pending(self) -> list[bytes]:
        return list(self.messages)

    def append(self, message: bytes) -> None:
        self.messages.append(message)

    def drop_pending(self) -> None:
        self.messages.clear()


class Totals(dict[str, bytes]):
    def put(self, key: str, packed: bytes) -> None:
        self[key] = packed


class Redis:
    """What is in it after the writes: as operators/redis_writes.lua does it."""

    def __init__(self) -> None:
        self.values: dict[tuple[int, str], tuple[tuple[int, int], dict[str, Any]]] = {}
        self.members: dict[str, dict[str, int]] = defaultdict(dict)
        self.writes: list[tuple[str, int]] = []  # name and as-of time of each, in order

    def apply(self, write: bytes) -> None:
        kind, name, packed, *rest = msgpack.unpackb(write, raw=True)
        name, value = name.decode(), msgpack.unpackb(packed)
        at = (_PLACES[kind], name)
        version = value.pop("version"), value["as_of_ms"]
        self.writes.append((name, value["as_of_ms"]))
        if at in self.values and version < self.values[at][0]:
            return
        self.values[at] = version, value
        if kind != WriteKind.TOMBSTONE and rest:
            since, others = rest
            for place in range(0, len(since), 2):
                self.members[since[place].decode()][name] = since[place + 1]
        else:
            others = rest[0] if kind == WriteKind.TOMBSTONE else []
        for other in others:
            self.members[other.decode()].pop(name, None)

    def left(self) -> dict[str, Left]:
        """What readers see: profiles, lists, members; what was withdrawn is not there."""
        shown = {at: value for at, (_, value) in self.values.items() if len(value) > 1}
        profiles, similar, population = (
            {name: value for (one, name), value in shown.items() if one == place} for place in range(3)
        )
        return {
            "profiles": {name: merged(value, population.get(name)) for name, value in profiles.items()},
            "similar": similar,
            "members": {name: since for name, since in self.members.items() if since},
        }


_PLACES = {WriteKind.PROFILE: 0, WriteKind.TOMBSTONE: 0, WriteKind.SIMILAR: 1, WriteKind.POPULATION: 2}


class WholeRun:
    """All operators, one subtask each."""

    def __init__(
        self,
        rules: RuleSet,
        similar: SimilarSettings,
        *,
        as_of_ms: int | None = None,
        settings: Settings = PATIENT,
        cached_customers: int = 20_000,
        out_of_orderness_ms: int = 5_000,
    ) -> None:
        def logic() -> CustomerLogic:
            return CustomerLogic(
                settings, rules, similar, as_of_ms=as_of_ms, cached_customers=cached_customers, now_ms=lambda: NOW_MS
            )

        self._logic, self._similar, self._as_of_ms = logic, similar, as_of_ms
        self.local = LocalRun(logic(), out_of_orderness_ms)
        self.local.watermark_ms = NO_TIME_MS
        self.items, self.lists = ItemLogic(similar, live=as_of_ms is None), PublishLogic(similar, as_of_ms)
        self.item_stores: dict[str, ItemStore] = defaultdict(ItemStore)
        self.list_stores: dict[str, DictStore] = defaultdict(DictStore)
        self.totals = Totals()
        self.redis = Redis()
        self.publications: set[int] = set()
        self.restarts = 0
        if as_of_ms is None:
            self._take(self.local.start())

    def feed(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            key, time_ms = key_and_time(line) or ("", None)
            self._take(self.local.feed(key, time_ms, b"file:1\x1f" + line))

    def publish(self, control_id: str, as_of_ms: int | None = None) -> list[Output]:
        record = {"control_id": control_id, "kind": "publish"} | ({} if as_of_ms is None else {"as_of_ms": as_of_ms})
        outputs = self.local.control(b"control:0:1\x1f" + json.dumps(record).encode())
        self._take(outputs)
        return outputs

    def pass_time(self, until_ms: int) -> None:
        self._take(self.local.feed("", until_ms + self.local._out_of_orderness_ms, b"nobody\x1f{}"))

    def restart(self) -> None:
        """Only what is in the stores, the timers and the broadcast state stays; there is no watermark for a moment."""
        watermark_ms, self.local.watermark_ms = self.local.watermark_ms, NO_TIME_MS
        self.local.logic = self._logic()
        self.items = ItemLogic(self._similar, live=True)
        self.lists = PublishLogic(self._similar, None)
        self.publications.clear()
        self._take(self.local.start(self.local.view))
        self.local.watermark_ms = watermark_ms

    def close(self) -> "WholeRun":
        """The end of a bounded run."""
        self._take(list(self.local.close()))
        for key, store in list(self.item_stores.items()):
            self._pass_on(self.items.on_end(key, store))
        for key, kept in self.list_stores.items():
            self._write(self.lists.on_end(key, self.totals, kept))
        return self

    def _take(self, outputs: Iterable[Output]) -> None:
        """What customers say, then, as their watermark gets there, the moments of publication."""
        for channel, key, payload in outputs:
            if channel == Channel.ITEM:
                self._pass_on(self.items.on_message(key, payload, self.item_stores[key]))
            elif channel == Channel.ANNOUNCEMENT:
                self.publications.add(Announcement.unpacked(payload).as_of_ms)
            elif channel == Channel.REDIS:
                self.redis.apply(payload)
        for as_of_ms in sorted(time_ms for time_ms in self.publications if time_ms <= self.local.watermark_ms):
            self.publications.remove(as_of_ms)
            for key, store in list(self.item_stores.items()):
                self._pass_on(self.items.on_publication(key, store))
            for key, kept in list(self.list_stores.items()):
                self._write(self.lists.on_publication(key, as_of_ms, self.totals, kept))

    def _pass_on(self, outputs: Iterable[Output]) -> None:
        for channel, key, payload in list(outputs):
            if channel == Channel.TOTAL:
                self.lists.on_total(payload, self.totals)
            elif channel == Channel.ROW:
                written = self.lists.on_row(key, payload, self.totals, self.list_stores[key], self.local.watermark_ms)
                self._write(written)

    def _write(self, outputs: Iterable[Output]) -> None:
        for channel, _, payload in outputs:
            if channel == Channel.REDIS:
                self.redis.apply(payload)


def bounded(lines: Iterable[bytes], as_of_ms: int, rules: RuleSet, similar: SimilarSettings, **more: Any) -> WholeRun:
    """A run that ends at `as_of_ms`; what is later is left out, as `segmill run --as-of` does."""
    whole = WholeRun(rules, similar, as_of_ms=as_of_ms, **more)
    whole.feed(line for line in lines if (key_and_time(line) or ("", 0))[1] <= as_of_ms)
    return whole.close()
