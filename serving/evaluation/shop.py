"""The whole pipeline in one process: events in, what Redis would hold out.

::

    event ─> CustomerLogic ─┬─ profiles ──────────────────────────────> source
             (LocalRun)     └─ item messages ─> ItemLogic ─> PublishLogic ─┘

It is the code that the live job runs, with its lags: items hear of a session when it is over, lists are published when
they have changed enough.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import msgpack

from schemas.keys import POPULAR_CLICKED, POPULAR_SHOWN
from schemas.profiles import unpack_versioned
from schemas.settings import Settings
from schemas.writes import WriteKind
from serving.evaluation.replay_source import ReplaySource
from state.channels import Channel, Output
from state.customer.logic import PLACE_END, CustomerLogic
from state.items.item import ItemLogic
from state.items.publish import PublishLogic
from state.local import DictStore, DictView, LocalRun
from state.local_population import ListStore
from state.rules.ruleset import RuleSet
from state.similar.settings import similar_settings


class LocalShop:
    """A live job in memory. Bound: as the job's state; everything is kept as long as this is."""

    def __init__(self, settings: Settings, rules: RuleSet, source: ReplaySource) -> None:
        """What is published goes to `source`."""
        similar = similar_settings(settings)
        self._run = LocalRun(CustomerLogic(settings, rules, similar), settings.out_of_orderness_ms)
        self._items, self._publish = ItemLogic(similar, live=True, now_ms=lambda: 0), PublishLogic(similar)
        self._item_stores: defaultdict[str, ListStore] = defaultdict(ListStore)
        self._publish_stores: defaultdict[str, DictStore] = defaultdict(DictStore)
        self._totals = DictView()
        self._source = source

    def feed(self, subject: str, time_ms: int, raw: bytes) -> None:
        """One event, and everything that follows from it and from time going on to it."""
        for channel, key, payload in self._run.feed(subject, time_ms, PLACE_END + raw):
            if channel == Channel.REDIS:
                self._write(payload)
            elif channel == Channel.ITEM:
                self._tell(self._items.on_message(key, payload, self._item_stores[key]))

    def _tell(self, outputs: Iterable[Output]) -> None:
        said = list(outputs)
        for channel, _, payload in said:
            if channel == Channel.TOTAL:
                self._publish.on_total(payload, self._totals)
            elif channel == Channel.REDIS:
                self._write(payload)
        for channel, key, payload in said:
            if channel == Channel.ROW:
                store, now_ms = self._publish_stores[key], self._run.watermark_ms
                for wrote, _, write in self._publish.on_row(key, payload, self._totals, store, now_ms):
                    if wrote == Channel.REDIS:
                        self._write(write)

    def _write(self, payload: bytes) -> None:
        """As operators/redis_writes.lua; here nothing comes late."""
        kind, name, *rest = msgpack.unpackb(payload, raw=True)  # writes know no `bin` type
        source, name = self._source, name.decode()
        if kind == WriteKind.SIMILAR:
            relation, _, item_id = name.partition(":")
            value: dict[str, Any] = unpack_versioned(rest[0]) or {}
            source.put_similar(relation, item_id, value.get("neighbours", ()))
        elif kind == WriteKind.POPULAR:
            item_id, _, log2 = rest
            put = source.put_count if name in (POPULAR_SHOWN, POPULAR_CLICKED) else source.put_popular
            put(name, item_id.decode(), log2)
        elif kind == WriteKind.PROFILE:
            source.profiles[name] = unpack_versioned(rest[0]) or {}
            if len(rest) > 1:
                since, others = rest[1:]
                names = (segment.decode() for segment in since[::2])
                source.put_members(name, dict(zip(names, since[1::2], strict=True)), map(bytes.decode, others))
        elif kind == WriteKind.TOMBSTONE:
            source.profiles.pop(name, None)
            source.put_members(name, {}, map(bytes.decode, rest[1]))
