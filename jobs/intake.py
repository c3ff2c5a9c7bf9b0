"""From log files to the spool: reads them merged by time, finds each record's subject and time, and the end of the run.

Files may overlap in time and be named in any order: the record that comes next is always that of the file whose newest
time so far is the oldest. So a file in order is replayed in order beside the others, and one that is not is out of
order by no more than it was.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from jobs.spool import SpoolWriter
from schemas.decode import Decoder
from schemas.logs import Log, LogFile
from schemas.records import Record
from schemas.rejects import Rejected
from schemas.settings import Settings
from state.customer.logic import REFUSED

PROGRESS_EVERY = 2_000
_REFUSED = REFUSED.decode()


@dataclass(slots=True)
class Intake:
    """What was read."""

    read: int = 0
    """Records handed to the job."""
    rows: int = 0
    """Rows of the files that they came from, without those left out."""
    after_as_of: int = 0
    """Records later than the as-of time asked for: left out."""
    newest_ms: int | None = None
    """Time of the newest event that is not rejected."""
    refused: Counter[str] = field(default_factory=Counter)
    """Records without a valid event, by reason."""
    first_refused: str = ""
    """Where the first of them stands."""


class _Timed(NamedTuple):
    """A record with what the job needs to know of it before it is decoded there."""

    record: Record
    subject: str
    time_ms: int | None
    rejected: Rejected | None


def fill_spool(
    log: Log,
    settings: Settings,
    spool: SpoolWriter,
    as_of_ms: int | None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Intake:
    """Read the whole log into the spool.

    `on_progress` gets the number of records and of bytes of the files, now and then.

    Raises:
        LogError: a file cannot be read.
    """
    intake = Intake()
    merge = _Merge(log, settings)
    for timed in merge:
        if as_of_ms is not None and timed.time_ms is not None and timed.time_ms > as_of_ms:
            intake.after_as_of += 1
            continue
        _write(spool, timed)
        intake.read += 1
        intake.rows += timed.record.source_rows
        if timed.time_ms is not None:
            intake.newest_ms = max(intake.newest_ms or 0, timed.time_ms)
        if timed.rejected is not None:
            intake.first_refused = intake.first_refused or timed.record.place
            intake.refused[timed.rejected.reason.value] += 1
        if on_progress is not None and intake.read % PROGRESS_EVERY == 0:
            on_progress(intake.read, merge.position_bytes)
    return intake


def _write(spool: SpoolWriter, timed: _Timed) -> None:
    record = timed.record
    place = record.place.replace(_REFUSED, "?")  # a file's name may hold anything
    if timed.rejected is None:
        spool.write(timed.subject, timed.time_ms, place, record.raw)
    else:
        place = _REFUSED.join((place, timed.rejected.reason, timed.rejected.detail))
        spool.write("", None, place, record.original)


class _Merge:
    """All records of a log, merged by time; files of equal times by name, not in the order they were given."""

    def __init__(self, log: Log, settings: Settings) -> None:
        self._log, self._settings = log, settings
        self._files = sorted(log.files, key=lambda file: (file.name, file.path))
        self._positions = [0] * len(self._files)
        self.position_bytes = 0
        """Bytes of all files that have been read by now."""

    def __iter__(self) -> Iterator[_Timed]:
        running: list[tuple[int, int, _Timed, Iterator[_Timed]]] = []
        waiting = sorted((self._first_ms(file), number) for number, file in enumerate(self._files))
        waiting.reverse()
        while waiting or running:
            # a file is opened only when the merge has come to its first event: thousands of files are no matter
            if waiting and (not running or waiting[-1][0] <= running[0][0]):
                _, number = waiting.pop()
                stream = _timed(self._log.records(self._files[number]), self._settings)
                at_ms = 0
            else:
                at_ms, number, timed, stream = heapq.heappop(running)
                yield timed
            following = self._next(number, stream)
            if following is not None:
                heapq.heappush(running, (max(at_ms, following.time_ms or 0), number, following, stream))

    def _next(self, number: int, stream: Iterator[_Timed]) -> _Timed | None:
        """The next record of a file; the log keeps one position only, that of the file it reads."""
        before = self._log.position_bytes = self._positions[number]
        following = next(stream, None)
        self._positions[number] = self._log.position_bytes
        self.position_bytes += self._positions[number] - before
        return following

    def _first_ms(self, file: LogFile) -> int:
        if len(self._files) == 1:
            return 0
        times = (timed.time_ms for timed in _timed(self._log.records(file), self._settings))
        return next((time_ms for time_ms in times if time_ms is not None), 0)


def _timed(records: Iterator[Record], settings: Settings) -> Iterator[_Timed]:
    decode = Decoder(settings).decode
    for record in records:
        rejected = record.rejected
        if rejected is None:
            try:
                subject, fact = decode(record.raw)
            except Rejected as error:
                # told to the job, which could come to another end: its clock is later
                rejected = error.with_traceback(None)
            else:
                yield _Timed(record, subject, fact.time_ms, None)
                continue
        yield _Timed(record, "", None, rejected)
