"""What the operator keyed by experiment does: adds up what customers tell, and writes how the experiment stands."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol

from schemas.writes import experiment_write
from state.channels import Channel, Output
from state.experiments.tally import Tally
from state.experiments.told import RELATION, read_message
from state.packing import pack, unpack
from state.similar.errors import expect_version
from state.versions import version_at

VERSION: Final = 1
EVERY_MS: Final = 1_000
"""A live job writes an experiment at most so often, in event time: all customers of one have one key."""
MOST_WAITING: Final = 1_000
"""So many messages wait to be added up at most."""
_BEGINNING = f"{RELATION}|"


class TallyStore(Protocol):
    """The state of one experiment: its packed tally, and messages that are not in it yet."""

    def load(self) -> bytes | None: ...
    def save(self, packed: bytes) -> None: ...
    def pending(self) -> list[bytes]: ...
    def append(self, message: bytes) -> None: ...
    def drop_pending(self) -> None: ...


class _Kept(NamedTuple):
    """What the store holds."""

    writes: int
    shown_ms: int
    tally: Tally


def is_about_experiment(key: str) -> bool:
    """Whether a message with this key is for `ExperimentLogic`."""
    return key.startswith(_BEGINNING)


class ExperimentLogic:
    """One instance serves all experiments of a subtask."""

    def __init__(self, as_of_ms: int | None = None) -> None:
        """`as_of_ms`: the end of a bounded run, at which alone something is written; None for a live job."""
        self._as_of_ms = as_of_ms
        self._waiting: dict[str, int] = {}  # known of this process; who is not here has fewer than MOST_WAITING

    def on_message(self, key: str, message: bytes, watermark_ms: int, store: TallyStore) -> int | None:
        """Take in what a customer tells; the event time at which to call `on_time`, if that is not the end."""
        store.append(message)
        waiting = self._waiting.get(key, 0) + 1
        if waiting >= MOST_WAITING:
            self._save(self._settled(store), store)
            waiting = 0
        self._waiting[key] = waiting
        return None if self._as_of_ms is not None else (max(watermark_ms, 0) // EVERY_MS + 1) * EVERY_MS

    def on_time(self, key: str, now_ms: int, store: TallyStore) -> list[Output]:
        """Write how the experiment stands as of now, or of the end of a bounded run."""
        self._waiting.pop(key, None)
        writes, shown_ms, tally = self._settled(store)
        as_of_ms = max(shown_ms, now_ms) if self._as_of_ms is None else self._as_of_ms
        self._save(_Kept(writes + 1, as_of_ms, tally), store)
        name = key.removeprefix(_BEGINNING)
        return [(Channel.REDIS, key, experiment_write(name, version_at(as_of_ms, writes + 1), as_of_ms, body(tally)))]

    @staticmethod
    def _settled(store: TallyStore) -> _Kept:
        kept = _unpacked(store.load())
        for message in store.pending():
            kept.tally.take(*read_message(message))
        store.drop_pending()
        return kept

    @staticmethod
    def _save(kept: _Kept, store: TallyStore) -> None:
        store.save(pack([VERSION, kept.writes, kept.shown_ms, kept.tally.packed()]))


def body(tally: Tally) -> dict[str, object]:
    """What readers are given of it."""
    cells, crossed, left_out = tally.packed()
    return {"cells": cells, "crossed": crossed, "left_out": left_out}


def read_body(value: Mapping[str, Any]) -> Tally:
    """The tally again, from what readers were given."""
    return Tally.unpacked([value["cells"], value["crossed"], value["left_out"]])


def _unpacked(packed: bytes | None) -> _Kept:
    if packed is None:
        return _Kept(0, 0, Tally())
    version, *fields = unpack(packed)
    expect_version(version, VERSION, "an experiment's sums")
    writes, shown_ms, tally = fields
    return _Kept(writes, shown_ms, Tally.unpacked(tally))
