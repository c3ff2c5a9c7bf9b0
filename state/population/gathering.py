"""The gather operator's logic: keeps what customers of one place tell until an interval is over.

An interval is one of event time, of the operator's own clock: a message counts in the one in which it comes. A message
is a difference, or the newest of what it says; so in which interval it counts changes only when it is learnt from.

State: the messages of an interval. Bound: one for each customer who was active in it, see `snapshots.py`.
"""

from typing import Any, Final, NamedTuple, Protocol

from state.packing import pack
from state.population.cluster_settings import ClusterSettings
from state.population.gather import Gathered, gathered
from state.population.refusal import unpack_versioned
from state.population.snapshots import Message

VERSION: Final = 1


class MessageStore(Protocol):
    """Messages that wait, in order of arrival."""

    def pending(self) -> list[bytes]: ...
    def append(self, message: bytes) -> None: ...
    def drop_pending(self) -> None: ...


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
        # before the first watermark nobody knows what time it is but the message
        now_ms = watermark_ms if watermark_ms >= 0 else Message.unpacked(message).as_of_ms
        return (now_ms // self._every_ms + 1) * self._every_ms

    def on_time(self, time_ms: int, store: MessageStore) -> bytes | None:
        """An interval is over: a packed `Parcel`, or None: nothing waited."""
        packed = store.pending()
        if not packed:
            return None
        store.drop_pending()
        at_ms = time_ms if self._as_of_ms is None else min(time_ms, self._as_of_ms)
        return Parcel(at_ms, gathered(self._settings, map(Message.unpacked, packed)).packed()).packed()
