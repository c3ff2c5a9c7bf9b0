"""The item operator's logic: adds up what customers tell an item, and passes on its row and total when that is due."""

from collections.abc import Iterable
from typing import Any

from state.channels import Channel, Output
from state.similar.item import Emitted, ItemStep, ItemStore
from state.similar.settings import SimilarSettings


class ItemLogic:
    """An `ItemStep` with outputs for the engine. `live`: False where only the end of the run matters."""

    def __init__(self, settings: SimilarSettings, *, live: bool) -> None:
        self._step = ItemStep(settings, live=live)

    def on_message(self, key: str, payload: bytes, store: ItemStore) -> Iterable[Output]:
        """One message to the item `key` (`relation|item`)."""
        emitted = self._step.on_message(key, payload, store)
        return _outputs(key, emitted) if emitted.row is not None or emitted.total is not None else ()

    def on_publication(self, key: str, store: ItemStore) -> Iterable[Output]:
        """All lists are to be written as of now: what is to be known of this item goes out."""
        return _outputs(key, self._step.up_to_date(key, store))

    def on_end(self, key: str, store: ItemStore) -> Iterable[Output]:
        """The end of a bounded run."""
        return _outputs(key, self._step.on_end(key, store))


def _outputs(key: str, emitted: Emitted) -> list[Output]:
    outputs: list[Output] = []
    if emitted.total is not None:
        outputs.append((Channel.TOTAL, key, emitted.total))
    if emitted.row is not None:
        outputs.append((Channel.ROW, key, emitted.row))
    return outputs


def split_key(key: str) -> tuple[Any, str]:
    """(relation, item) of a key."""
    relation, _, item = key.partition("|")
    return relation, item
