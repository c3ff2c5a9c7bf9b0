"""How fast a log is replayed."""

import re
from dataclasses import dataclass

_STATED = re.compile(r"(\d+(?:\.\d+)?)(x|/s)")


@dataclass(frozen=True, slots=True)
class Pace:
    """At most so many records a second, or so many times as fast as it happened; neither: as fast as it goes."""

    records_per_s: float | None = None
    times: float | None = None

    @property
    def limited(self) -> bool:
        """Whether there is anything to wait for."""
        return self.records_per_s is not None or self.times is not None

    def due_s(self, records: int, passed_ms: int) -> float:
        """When a record is due, in seconds after the first; `records` before it, `passed_ms` of event time since."""
        if self.records_per_s is not None:
            return records / self.records_per_s
        return 0.0 if self.times is None else passed_ms / 1000 / self.times


def parse_pace(text: str) -> Pace:
    """`max`, `10x` (event time ten times as fast as the clock) or `500/s`.

    Raises:
        ValueError: it is none of these, or nothing would ever move.
    """
    if text == "max":
        return Pace()
    stated = _STATED.fullmatch(text)
    if stated is None or float(stated[1]) == 0:
        raise ValueError(f"{text!r} is no speed: write max, 10x (ten times as fast as it happened) or 500/s")
    return Pace(times=float(stated[1])) if stated[2] == "x" else Pace(records_per_s=float(stated[1]))
