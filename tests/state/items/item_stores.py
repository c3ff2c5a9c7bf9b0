"""Stores in memory for the item and publish operators, and a way to run both."""

from collections import defaultdict
from collections.abc import Iterable

import msgpack

from state.channels import Channel, Output
from state.items.item import ItemLogic
from state.items.publish import PublishLogic
from state.similar.settings import SimilarSettings

SETTINGS = SimilarSettings(near=(64, 32, 10), viewed_shrink=2, bought_shrink=2)


class PendingStore:
    """A packed value and messages."""

    def __init__(self) -> None:
        self.value: bytes | None = None
        self.messages: list[bytes] = []

    def load(self) -> bytes | None:
        return self.value

    def save(self, packed: bytes) -> None:
        self.value = packed

    def clear(self) -> None:
        self.value = None

    def pending(self) -> list[bytes]:
        return list(self.messages)

    def append(self, message: bytes) -> None:
        self.messages.append(message)

    def drop_pending(self) -> None:
        self.messages.clear()

    @property
    def is_empty(self) -> bool:
        return self.value is None and not self.messages


class Shop:
    """Both operators, with outputs handed from one to the other as an engine does."""

    def __init__(self, *, live: bool, as_of_ms: int | None = None, settings: SimilarSettings = SETTINGS) -> None:
        self.items, self.publish = ItemLogic(settings, live=live), PublishLogic(settings, as_of_ms)
        self.item_stores: dict[str, PendingStore] = defaultdict(PendingStore)
        self.publish_stores: dict[str, PendingStore] = defaultdict(PendingStore)
        self.totals: dict[str, bytes] = {}
        self.writes: list[Output] = []
        self.records: list[Output] = []
        self.watermark_ms = 0

    def restart(self, *, live: bool, as_of_ms: int | None = None, settings: SimilarSettings = SETTINGS) -> None:
        """Only what is in the stores stays."""
        self.items, self.publish = ItemLogic(settings, live=live), PublishLogic(settings, as_of_ms)

    def tell(self, key: str, message: bytes) -> None:
        self._pass_on(list(self.items.on_message(key, message, self.item_stores[key])))

    def end(self) -> None:
        """All totals arrive before any row is scored for the last time."""
        for key, store in list(self.item_stores.items()):
            self._pass_on(list(self.items.on_end(key, store)))
        for key, kept in self.publish_stores.items():
            self._sort(self.publish.on_end(key, _Totals(self.totals), kept))

    def _pass_on(self, outputs: list[Output]) -> None:
        for channel, _, payload in outputs:
            if channel == Channel.TOTAL:
                self.publish.on_total(payload, _Totals(self.totals))
        for channel, key, payload in outputs:
            if channel == Channel.ROW:
                self._sort(
                    self.publish.on_row(key, payload, _Totals(self.totals), self.publish_stores[key], self.watermark_ms)
                )

    def _sort(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            (self.records if output[0] == Channel.SIMILAR else self.writes).append(output)

    def lists(self) -> dict[str, list[list[object]]]:
        """What Redis has in the end: of each key the newest version."""
        found: dict[str, tuple[int, list[list[object]]]] = {}
        for key, version, neighbours in map(read_write, self.writes):
            assert version > found.get(key, (-1, []))[0], "versions only move forward"
            found[key] = version, neighbours
        return {key: neighbours for key, (_, neighbours) in found.items() if neighbours}


class _Totals:
    def __init__(self, totals: dict[str, bytes]) -> None:
        self.totals = totals

    def get(self, key: str) -> bytes | None:
        return self.totals.get(key)

    def put(self, key: str, packed: bytes) -> None:
        self.totals[key] = packed


def read_write(output: Output) -> tuple[str, int, list[list[object]]]:
    """(key, version, neighbours) of a write; no neighbours: the list is withdrawn."""
    channel, _, payload = output
    assert channel == Channel.REDIS
    _, name, value = msgpack.unpackb(payload, raw=True)  # writes know no `bin` type: what they hold comes as `str`
    fields = msgpack.unpackb(value)
    return name.decode(), fields["version"], fields.get("neighbours", [])
