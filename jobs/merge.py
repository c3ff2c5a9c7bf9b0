"""The records of a log, merged by time, each with whose and when it is.

Files may overlap in time and be named in any order: the record that comes next is always that of the file whose newest
time so far is the oldest. So a file in order is replayed in order beside the others, and one that is not is out of
order by no more than it was.
"""

import heapq
from collections.abc import Callable, Iterator
from typing import NamedTuple

from schemas.logs import Log, LogFile
from schemas.records import Record
from schemas.rejects import Rejected

Look = Callable[[bytes], tuple[str, int]]
"""(subject, time_ms) of a canonical event; raises `Rejected`."""


class Timed(NamedTuple):
    """A record with what the job needs to know of it before it is decoded there."""

    record: Record
    subject: str
    time_ms: int | None
    rejected: Rejected | None


class Merge:
    """All records of a log, merged by time; files of equal times by name, not in the order they were given."""

    def __init__(self, log: Log, look: Look) -> None:
        self._log, self._look = log, look
        self._files = sorted(log.files, key=lambda file: (file.name, file.path))
        self._positions = [0] * len(self._files)
        self.position_bytes = 0
        """Bytes of all files that have been read by now."""

    def __iter__(self) -> Iterator[Timed]:
        running: list[tuple[int, int, Timed, Iterator[Timed]]] = []
        waiting = sorted((self._first_ms(file), number) for number, file in enumerate(self._files))
        waiting.reverse()
        while waiting or running:
            # a file is opened only when the merge has come to its first event: thousands of files are no matter
            if waiting and (not running or waiting[-1][0] <= running[0][0]):
                _, number = waiting.pop()
                stream = _timed(self._log.records(self._files[number]), self._look)
                at_ms = 0
            else:
                at_ms, number, timed, stream = heapq.heappop(running)
                yield timed
            following = self._next(number, stream)
            if following is not None:
                heapq.heappush(running, (max(at_ms, following.time_ms or 0), number, following, stream))

    def _next(self, number: int, stream: Iterator[Timed]) -> Timed | None:
        """The next record of a file; the log keeps one position only, that of the file it reads."""
        before = self._log.position_bytes = self._positions[number]
        following = next(stream, None)
        self._positions[number] = self._log.position_bytes
        self.position_bytes += self._positions[number] - before
        return following

    def first_ms(self) -> int | None:
        """The oldest among the first times of the files; None if no record of any has one."""
        return min((first_ms for file in self._files if (first_ms := self._begins_ms(file))), default=None)

    def _first_ms(self, file: LogFile) -> int:
        return 0 if len(self._files) == 1 else self._begins_ms(file)

    def _begins_ms(self, file: LogFile) -> int:
        times = (timed.time_ms for timed in _timed(self._log.records(file), self._look))
        return next((time_ms for time_ms in times if time_ms is not None), 0)


def _timed(records: Iterator[Record], look: Look) -> Iterator[Timed]:
    for record in records:
        rejected = record.rejected
        if rejected is None:
            try:
                subject, time_ms = look(record.raw)
            except Rejected as error:
                # told to the job, which could come to another end: its clock is later
                rejected = error.with_traceback(None)
            else:
                yield Timed(record, subject, time_ms, None)
                continue
        yield Timed(record, "", None, rejected)
