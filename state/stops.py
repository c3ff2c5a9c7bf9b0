"""Where the clock of the live job stands still for a while, so that what is written as of a moment can be looked at.

On a quiet topic time goes on by the wall clock: it would pass a moment of publication in the middle of a second, and
whoever leaves a segment in the next one would be written anew before anybody has seen the first. So the clock stops at
the moment itself, for as long as the control record says, unless the source moves on.
"""

from msgspec.structs import replace

from schemas.control import decode_control, encode_control
from schemas.rejects import Rejected
from state.customer.logic import PLACE_END
from state.packing import pack, unpack

VERSION = 1
HOLD_MS = 60_000
"""How long, if the record does not say it."""


class Stops:
    """State: the moments ahead, each with its length; some 20 bytes for each, packed."""

    def __init__(self, packed: bytes | None = None) -> None:
        """`packed`: the state that a job before left."""
        self.ahead: list[tuple[int, int]] = []
        self._stopped_ms: int | None = None  # the wall clock, when time came to the first of them
        self._told_ms: int | None = None  # what time it was last
        self._unsettled: list[tuple[int, int]] = []  # asked for before anybody knew what time it was
        if packed is not None:
            version, ahead = unpack(packed)
            if version != VERSION:
                raise ValueError(f"the stops of the clock were written by a newer program (version {version})")
            self.ahead = [(time_ms, length_ms) for time_ms, length_ms in ahead]

    def packed(self) -> bytes:
        """The state."""
        return pack((VERSION, self.ahead))

    def on_record(self, payload: bytes) -> bytes:
        """Take note of a control record: place, PLACE_END, raw bytes. Returns it with the moment that was settled.

        While nobody knows what time it is, and where it is no record of this kind, it goes on as it is.
        """
        place, _, raw = payload.partition(PLACE_END)
        try:
            control = decode_control(raw, len(raw))
        except Rejected:  # it goes on to where that is said
            return payload
        if control.kind != "publish":
            return payload
        length_ms = HOLD_MS if control.hold_ms is None else control.hold_ms
        if self._told_ms is None:
            if control.as_of_ms is not None:
                self._unsettled.append((control.as_of_ms, length_ms))
            return payload
        as_of_ms = max(control.as_of_ms or 0, self._told_ms + 1)
        self.ahead = sorted([*self.ahead, (as_of_ms, length_ms)])
        return b"".join((place, PLACE_END, encode_control(replace(control, as_of_ms=as_of_ms))))

    def time_ms(self, time_ms: int, now_ms: int, *, quiet: bool) -> int:
        """What time it is, where it would be `time_ms`. `now_ms`: the wall clock; `quiet`: nothing else moves it."""
        if self._unsettled:
            self.ahead = sorted([*self.ahead, *(stop for stop in self._unsettled if stop[0] > time_ms)])
            self._unsettled = []
        while self.ahead and time_ms >= self.ahead[0][0]:
            stop_ms, length_ms = self.ahead[0]
            if self._stopped_ms is None:
                self._stopped_ms = now_ms
            if quiet and now_ms - self._stopped_ms < length_ms:
                time_ms = stop_ms
                break
            self.ahead = self.ahead[1:]
            self._stopped_ms = None
        self._told_ms = max(time_ms, self._told_ms or 0)  # no watermark goes back
        return time_ms
