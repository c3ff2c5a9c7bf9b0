"""The gather operator's logic: keeps what customers of one place tell until an interval is over.

A message counts in the interval of the time as of which it is; one that comes after that, in the first that is not
over. So it makes no difference how fast a log is read, weeks in a second or a second in a second.

State: the messages of intervals that are not over. Bound: one for each customer who was active in it,
see `snapshots.py`.
"""

from typing import Any, Final, NamedTuple

from state.packing import pack
from state.population.cluster_settings import ClusterSettings
from state.population.gather import Gathered, gathered
from state.population.refusal import unpack_versioned
from state.population.snapshots import Message
from state.population.stores import MessageStore

VERSION: Final = 1


class Parcel(NamedTuple):
    """What one place gathered until a time."""

    at_ms: int
    gathered: bytes
    """Packed `Gathered`."""

    def packed(self) -> bytes:
        """Versioned bytes."""
        return pack([VERSION, *self])

    @classmethod
    def unpacked(cls, packed: bytes) -> "Parcel":
        """The parcel again.

        Raises:
            PopulationError: the bytes are none of a parcel, or of a newer program's.
        """
        fields: list[Any] = unpack_versioned(packed, VERSION, "a parcel of snapshots")
        return cls(*fields)

    def opened(self, settings: ClusterSettings) -> Gathered:
        """What is in it."""
        return Gathered.unpacked(settings, self.gathered)


class GatherLogic:
    """One instance serves all places of a subtask, which is mostly one."""

    def __init__(self, settings: ClusterSettings, every_ms: int, as_of_ms: int | None = None) -> None:
        """
        Args:
            settings: of the clusters that learn from it.
            every_ms: length of an interval, in event time.
            as_of_ms: the end of a bounded run, beyond which time does not pass.
        """
        self._settings, self._every_ms, self._as_of_ms = settings, every_ms, as_of_ms

    def on_message(self, message: bytes, watermark_ms: int, store: MessageStore) -> int:
        """Keep a message; the event time at which to call `on_time`."""
        store.append(message)
        return self._end_ms(max(Message.time_of(message), watermark_ms))

    def on_time(self, time_ms: int, watermark_ms: int, store: MessageStore) -> list[bytes]:
        """An interval is over, perhaps long since: packed `Parcel`s, one for each that is, in their order."""
        by_end: dict[int, list[Message]] = {}
        later: list[bytes] = []
        for packed in store.pending():
            message = Message.unpacked(packed)
            end_ms = max(self._end_ms(message.as_of_ms), time_ms)
            if end_ms <= max(time_ms, watermark_ms):
                by_end.setdefault(end_ms, []).append(message)
            else:
                later.append(packed)
        if not by_end:
            return []
        store.drop_pending()
        for packed in later:
            store.append(packed)
        return [self._parcel(end_ms, by_end[end_ms]) for end_ms in sorted(by_end)]

    def _parcel(self, end_ms: int, messages: list[Message]) -> bytes:
        at_ms = end_ms if self._as_of_ms is None else min(end_ms, self._as_of_ms)
        return Parcel(at_ms, gathered(self._settings, messages).packed()).packed()

    def _end_ms(self, at_ms: int) -> int:
        """The end of the interval that a time lies in."""
        return (at_ms // self._every_ms + 1) * self._every_ms
