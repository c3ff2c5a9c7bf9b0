"""The logic that reads the control stream, one for the whole job: what can take effect goes on, the rest is refused.

It also settles what must be the same for all subtasks: whether a record is a repetition, and as of which moment
everything is to be written. No watermark behind this operator is ahead of its own, so "now" is the next millisecond.
"""

from collections.abc import Iterable
from typing import Any, Protocol

from msgspec.structs import replace

from schemas.control import Control, encode_control, refused
from schemas.rejects import Rejected, rejected_from_topic
from schemas.settings import Settings
from state.channels import Channel, Output
from state.customer.book import IDS_KEPT, check_control
from state.customer.logic import PLACE_END, REFUSED
from state.packing import pack, unpack
from state.tally import ControlTally

VERSION = 1


class ValueStore(Protocol):
    """One packed value."""

    def load(self) -> bytes | None: ...
    def save(self, packed: bytes) -> None: ...


class ControlVersionError(ValueError):
    """State of a version that this program does not know."""


class ControlLogic:
    """Refuses a record once, and not in every subtask of the customers."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.tally = ControlTally()

    def on_record(
        self, key: str, payload: bytes, watermark_ms: int, store: ValueStore
    ) -> tuple[int | None, Iterable[Output]]:
        """One record: place, PLACE_END, raw bytes; a place with REFUSED says why its reader could not take it.

        Returns the event time at which to call `on_time`, if any, and what there is to say.
        """
        place, _, raw = payload.partition(PLACE_END)
        place, *why = place.split(REFUSED)
        try:
            if why:
                raise refused(why[1].decode("utf-8", "replace"))
            control = check_control(raw, self._settings)
        except Rejected as rejected:
            self.tally.reject(rejected.reason)
            size = int(why[2]) if len(why) > 2 else None
            where = place.decode("utf-8", "replace")
            line = rejected_from_topic(rejected.reason, rejected.detail, where, raw, size)
            return None, [(Channel.REJECTED, key, line)]
        ids, held = _unpacked(store.load())
        if control.control_id in ids:
            return None, ()
        waits = control.kind == "publish" and watermark_ms < 0
        store.save(pack([VERSION, [*ids[1 - IDS_KEPT :], control.control_id], [*held, raw] if waits else held]))
        if waits:  # nobody knows what time it is: the job has only just started
            return 0, ()
        return None, [(Channel.CONTROL, key, self._settled(control, raw, watermark_ms))]

    def on_time(self, key: str, watermark_ms: int, store: ValueStore) -> Iterable[Output]:
        """It is known what time it is: what waited for that goes on."""
        ids, held = _unpacked(store.load())
        store.save(pack([VERSION, ids, []]))
        records = [(check_control(raw, self._settings), raw) for raw in held]
        return [(Channel.CONTROL, key, self._settled(control, raw, watermark_ms)) for control, raw in records]

    @staticmethod
    def _settled(control: Control, raw: bytes, watermark_ms: int) -> bytes:
        if control.kind != "publish":
            return raw
        return encode_control(replace(control, as_of_ms=max(control.as_of_ms or 0, watermark_ms + 1)))


def _unpacked(packed: bytes | None) -> tuple[list[str], list[bytes]]:
    """Names of the newest records, and those that wait."""
    if packed is None:
        return [], []
    parts: list[Any] = unpack(packed)
    if parts[0] != VERSION:
        raise ControlVersionError(f"state of the control stream of version {parts[0]}; this program reads {VERSION}")
    return parts[1], parts[2]
