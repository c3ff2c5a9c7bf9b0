"""From log files to the spool: reads them merged by time, finds each record's subject and time, and the end of the run.

Files may overlap in time and be named in any order: the record that comes next is always that of the file whose newest
time so far is the oldest. So a file in order is replayed in order beside the others, and one that is not is out of
order by no more than it was.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from jobs.spool import SpoolWriter
from schemas.decode import Decoder
from schemas.facts import Kind
from schemas.logs import Log, LogFile
from schemas.records import Record
from schemas.rejects import Rejected
from schemas.settings import Settings
from state.customer.logic import REFUSED

PROGRESS_EVERY = 2_000


@dataclass(slots=True)
class Intake:
    """What was read."""

    read: int = 0
    """Records handed to the job."""
    rows: int = 0
    """Rows of the files that they came from."""
    after_as_of: int = 0
    """Records later than the as-of time asked for: left out."""
    newest_ms: int | None = None
    """Time of the newest event that is not rejected."""
    kinds: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class _Timed:
    """A record with what the job needs to know of it before it is decoded there."""

    record: Record
    subject: str
    time_ms: int | None
    kind: int


def fill_spool(
    log: Log,
    settings: Settings,
    spool: SpoolWriter,
    as_of_ms: int | None,
    on_progress: Callable[[int], None] | None = None,
) -> Intake:
    """Read the whole log into the spool; `on_progress` gets the number of records now and then.

    Raises:
        LogError: a file cannot be read.
    """
    intake = Intake()
    for timed in _merged(log, settings):
        intake.rows += timed.record.source_rows
        if as_of_ms is not None and timed.time_ms is not None and timed.time_ms > as_of_ms:
            intake.after_as_of += 1
            continue
        _write(spool, timed)
        intake.read += 1
        if timed.time_ms is not None:
            intake.newest_ms = max(intake.newest_ms or 0, timed.time_ms)
            intake.kinds[Kind(timed.kind).name.lower()] += 1
        if on_progress is not None and intake.read % PROGRESS_EVERY == 0:
            on_progress(intake.read)
    return intake


def _write(spool: SpoolWriter, timed: _Timed) -> None:
    record = timed.record
    if record.rejected is None:
        spool.write(timed.subject, timed.time_ms, record.place, record.raw)
        return
    refused = REFUSED.decode()
    place = refused.join((record.place, record.rejected.reason, record.rejected.detail))
    spool.write("", None, place, record.original)


def _merged(log: Log, settings: Settings) -> Iterator[_Timed]:
    if len(log.files) == 1:
        yield from _timed(iter(log), settings)
        return
    waiting = sorted((_first_ms(log, file, settings), number) for number, file in enumerate(log.files))
    running: list[tuple[int, int, _Timed, Iterator[_Timed]]] = []
    while waiting or running:
        # a file is opened only when the merge has come to its first event: thousands of files are no matter
        if waiting and (not running or waiting[0][0] <= running[0][0]):
            _, number = heapq.heappop(waiting)
            stream = _timed(log.records(log.files[number]), settings)
            at_ms = 0
        else:
            at_ms, number, timed, stream = heapq.heappop(running)
            yield timed
        following = next(stream, None)
        if following is not None:
            heapq.heappush(running, (max(at_ms, following.time_ms or 0), number, following, stream))


def _first_ms(log: Log, file: LogFile, settings: Settings) -> int:
    times = (timed.time_ms for timed in _timed(log.records(file), settings))
    return next((time_ms for time_ms in times if time_ms is not None), 0)


def _timed(records: Iterator[Record], settings: Settings) -> Iterator[_Timed]:
    decode = Decoder(settings).decode
    for record in records:
        if record.rejected is not None:
            yield _Timed(record, "", None, 0)
            continue
        try:
            subject, fact = decode(record.raw)
        except Rejected:  # the job will say why
            yield _Timed(record, "", None, 0)
        else:
            yield _Timed(record, subject, fact.time_ms, fact.kind)
