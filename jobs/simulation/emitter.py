"""Where simulated events become lines and wait for their turn."""

from collections.abc import Iterator
from datetime import UTC, datetime

from schemas.settings import DAY_MS, HOUR_MS

_ODD = 0x9E37_79B9_7F4A_7C15
_MASK = (1 << 64) - 1

Entry = tuple[int, int, str, int, str]
"""(arrival_ms, number, type, time_ms, line): sorts by arrival, then by the order of making."""


class Emitter:
    """Renders events and keeps them by the hour in which they arrive; holds no more than what lies ahead."""

    def __init__(self, seed: int) -> None:
        self._salt = seed * 2_654_435_769 & _MASK
        self._number = 0
        self._hours: dict[int, list[Entry]] = {}
        self._days: dict[int, str] = {}

    def emit(self, time_ms: int, kind: str, members: str, tail: str, text_time: bool, arrival_ms: int = -1) -> None:
        """Add one event.

        Args:
            members: JSON members of the event, each with a comma before it.
            tail: the visit's members and the closing brace.
            text_time: write RFC 3339 instead of epoch milliseconds.
            arrival_ms: its place in the log, if that is not its time.
        """
        number = self._number = self._number + 1
        # an odd multiplier maps numbers one to one: ids are unique, and in no order, as a shop's are
        event_id = f"{number * _ODD + self._salt & _MASK:016x}"
        stamp: str | int = self._text(time_ms) if text_time else time_ms
        line = f'{{"event_id":"{event_id}","type":"{kind}","timestamp":{stamp}{members}{tail}'
        if arrival_ms < 0:
            arrival_ms = time_ms
        entry = (arrival_ms, number, kind, time_ms, line)
        hour = arrival_ms // HOUR_MS
        waiting = self._hours.get(hour)
        if waiting is None:
            self._hours[hour] = [entry]
        else:
            waiting.append(entry)

    def next_number(self) -> int:
        """How many events there were: names orders and sessions, too."""
        return self._number

    def waiting(self, hour: int) -> int:
        """How many events arrive in this hour (counted from the epoch)."""
        return len(self._hours.get(hour, ()))

    def take(self, hour: int) -> Iterator[Entry]:
        """The events of an hour by arrival; they are forgotten here."""
        return iter(sorted(self._hours.pop(hour, ())))

    def _text(self, time_ms: int) -> str:
        day, rest = divmod(time_ms, DAY_MS)
        name = self._days.get(day)
        if name is None:
            name = self._days[day] = datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y-%m-%d")
        minutes, ms = divmod(rest, 60_000)
        return f'"{name}T{minutes // 60:02d}:{minutes % 60:02d}:{ms // 1000:02d}.{ms % 1000:03d}Z"'
