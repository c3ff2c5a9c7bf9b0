"""What happens to events between a shop and its log: delays, second deliveries, garbage."""

from collections import Counter
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from random import Random

from jobs.simulation.emitter import Entry
from jobs.simulation.malformed import malformed_line
from jobs.simulation.settings import LATENESS_MS, REFUND_LEAD_MS, SimulationSettings
from schemas.settings import DAY_MS, HOUR_MS

DUPLICATE_DELAY_MS = 3 * DAY_MS


class Disturbances:
    """Delays, repeats and intersperses; counts what it did.

    An event that would arrive at a is put where all events up to a + its delay have come before. Later than
    `LATENESS_MS` behind the newest event nothing ever is, so none of it is lost by a job with default settings.
    Bound: the events of the longest delay asked for.
    """

    def __init__(self, settings: SimulationSettings, random: Random) -> None:
        self._settings = settings
        self._draw = random.random
        self._number = 0
        self._waiting: list[tuple[int, int, bytes]] = []
        # what a repeated event may be delayed by without becoming too late
        self._room_ms = min(DUPLICATE_DELAY_MS, LATENESS_MS - settings.shuffle_ms - REFUND_LEAD_MS - HOUR_MS)
        self.duplicates = 0
        self.delayed = 0
        self.malformed: Counter[str] = Counter()

    def apply(self, entries: Iterable[Entry]) -> Iterator[bytes]:
        """The lines of the log, in the order of their arrival."""
        settings, draw, waiting = self._settings, self._draw, self._waiting
        if not (settings.shuffle_ms or settings.duplicates or settings.malformed):
            for entry in entries:
                yield entry[4].encode()
            return
        for arrival_ms, _, _, time_ms, line in entries:
            while waiting and waiting[0][0] <= arrival_ms:
                yield heappop(waiting)[2]
            self._admit(arrival_ms, line.encode())
            if settings.malformed and draw() < settings.malformed:
                reason, bad = malformed_line(self.malformed.total() + 1, time_ms, draw)
                self.malformed[reason.value] += 1
                self._wait(arrival_ms, bad)
        while waiting:
            yield heappop(waiting)[2]

    def _admit(self, arrival_ms: int, line: bytes) -> None:
        settings, draw = self._settings, self._draw
        if settings.shuffle_ms:
            delay_ms = int(draw() * (settings.shuffle_ms + 1))
            self.delayed += delay_ms > 0
            arrival_ms += delay_ms
        self._wait(arrival_ms, line)
        if settings.duplicates and draw() < settings.duplicates:
            self.duplicates += 1
            self._wait(arrival_ms + 1 + int(draw() * self._room_ms), line)

    def _wait(self, arrival_ms: int, line: bytes) -> None:
        self._number += 1
        heappush(self._waiting, (arrival_ms, self._number, line))
