"""The item operator's logic: adds up what customers tell an item, and passes on its row and total when that is due."""

from collections.abc import Callable, Iterable
from math import log2
from typing import Any, Final

from schemas.keys import POPULAR_BOUGHT, POPULAR_CLICKED, POPULAR_SHOWN, POPULAR_VIEWED
from schemas.writes import popular_write
from state.channels import Channel, Output
from state.impressions.changes import CLICKED, SHOWN
from state.similar.item import Emitted, ItemStep, ItemStore
from state.similar.publish import unpack_total
from state.similar.settings import BOUGHT_WITH, VIEWED_WITH, SimilarSettings

POPULAR_SCOPES: Final = {
    VIEWED_WITH: POPULAR_VIEWED,
    BOUGHT_WITH: POPULAR_BOUGHT,
    SHOWN: POPULAR_SHOWN,
    CLICKED: POPULAR_CLICKED,
}
"""Where an item's total says how popular it is."""


_COUNTED: Final = (SHOWN, CLICKED)


class ItemLogic:
    """An `ItemStep` with outputs for the engine."""

    def __init__(self, settings: SimilarSettings, *, live: bool, now_ms: Callable[[], int] | None = None) -> None:
        """
        Args:
            settings: of the similar items.
            live: False where only the end of the run matters.
            now_ms: the wall clock: of two writes about an item's popularity the later one wins, as totals are told
                when they have moved enough, and a restarted job does that at other moments. None: none are made.
        """
        self._step, self._now_ms = ItemStep(settings, live=live), now_ms

    def on_message(self, key: str, payload: bytes, store: ItemStore) -> Iterable[Output]:
        """One message to the item `key` (`relation|item`)."""
        emitted = self._step.on_message(key, payload, store)
        return self._outputs(key, emitted) if emitted.row is not None or emitted.total is not None else ()

    def on_publication(self, key: str, store: ItemStore) -> Iterable[Output]:
        """All lists are to be written as of now: what is to be known of this item goes out."""
        return self._outputs(key, self._step.up_to_date(key, store))

    def on_end(self, key: str, store: ItemStore) -> Iterable[Output]:
        """The end of a bounded run."""
        return self._outputs(key, self._step.on_end(key, store))

    def _outputs(self, key: str, emitted: Emitted) -> list[Output]:
        outputs: list[Output] = []
        counts_alone = split_key(key)[0] in _COUNTED  # of such an item nobody makes a list
        if emitted.total is not None:
            if not counts_alone:
                outputs.append((Channel.TOTAL, key, emitted.total))
            if self._now_ms is not None:
                outputs.append((Channel.REDIS, key, _popularity(key, emitted.total, self._now_ms())))
        if emitted.row is not None and not counts_alone:
            outputs.append((Channel.ROW, key, emitted.row))
        return outputs


def _popularity(key: str, packed: bytes, now_ms: int) -> bytes:
    """The write of how popular an item is: log2 of its decayed count, which needs no change as time passes."""
    relation, item = split_key(key)
    _, (number, base) = unpack_total(packed)
    return popular_write(POPULAR_SCOPES[relation], item, now_ms, log2(number) + base if number > 0 else 0.0)


def split_key(key: str) -> tuple[Any, str]:
    """(relation, item) of a key."""
    relation, _, item = key.partition("|")
    return relation, item
