"""The catalog in Redis: packed items, and of each category the newest ones."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from schemas.keys import Keys, beginning_with
from schemas.writes import MOST_POPULAR
from serving.catalog.item import Item
from serving.ranking.source import new_scope

BATCH: Final = 1_000
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Item, strict=False).decode


def pack_item(item: Item) -> bytes:
    """As it is stored: a MessagePack map of what is known."""
    return _encode(item)


def unpack_item(value: bytes | None) -> Item | None:
    """The item again; None for no value, and for one that is no item (another program's key)."""
    if value is None:
        return None
    try:
        return _decode(value)
    except msgspec.MsgspecError:
        return None


class CatalogStore:
    """Writes a catalog to one Redis (a `redis.Redis` of any kind). Readers see old or new items, never half of one."""

    def __init__(self, client: Any, keys: Keys) -> None:
        self._client, self._keys = client, keys

    def write(self, items: Sequence[Item], now_ms: int, on_item: Callable[[int], None] = lambda count: None) -> int:
        """Add items, or put them in the place of those stored; returns how many were not there before.

        An item that does not say since when it is listed keeps what is stored of that; a new one is listed `now_ms`.
        """
        added = 0
        for batch in _batches(items):
            stored = self._stored([item.item_id for item in batch])
            written = [_listed(item, old, now_ms) for item, old in zip(batch, stored, strict=True)]
            added += sum(old is None for old in stored)
            pipeline = self._client.pipeline(transaction=False)
            pipeline.mset({self._keys.item(item.item_id): pack_item(item) for item in written})
            self._index(pipeline, written, stored)
            pipeline.execute()
            on_item(len(batch))
        return added

    def remove_others(self, items: Sequence[Item]) -> int:
        """Take out every stored item that is not among these; returns how many."""
        kept = {item.item_id for item in items}
        start = self._keys.item("")
        names = (key.decode()[len(start) :] for key in self._client.scan_iter(match=beginning_with(start), count=BATCH))
        gone = sorted({name for name in names if name not in kept})
        for batch in _batches(gone):
            stored = self._stored(batch)
            pipeline = self._client.pipeline(transaction=False)
            pipeline.delete(*(self._keys.item(name) for name in batch))
            for old in stored:
                if old is not None and old.category is not None:
                    pipeline.zrem(self._newest(old.category), old.item_id)
            pipeline.execute()
        return len(gone)

    def _stored(self, item_ids: Sequence[str]) -> list[Item | None]:
        return [unpack_item(value) for value in self._client.mget([self._keys.item(name) for name in item_ids])]

    def _index(self, pipeline: Any, written: Sequence[Item], stored: Sequence[Item | None]) -> None:
        newest: defaultdict[str, dict[str, float]] = defaultdict(dict)
        for item, old in zip(written, stored, strict=True):
            if old is not None and old.category is not None and old.category != item.category:
                pipeline.zrem(self._newest(old.category), item.item_id)
            if item.category is not None and item.listed_ms is not None:
                newest[item.category][item.item_id] = item.listed_ms
        for category, listed in newest.items():
            pipeline.zadd(self._newest(category), listed)
            pipeline.zremrangebyrank(self._newest(category), 0, -MOST_POPULAR - 1)

    def _newest(self, category: str) -> str:
        return self._keys.popular(new_scope(category))


def _listed(item: Item, old: Item | None, now_ms: int) -> Item:
    if item.listed_ms is not None:
        return item
    return replace(item, listed_ms=now_ms if old is None or old.listed_ms is None else old.listed_ms)


def _batches(whole: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (whole[at : at + BATCH] for at in range(0, len(whole), BATCH))
