"""From log files to the spool: finds each record's subject and time, and the end of the run."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from jobs.merge import Look, Merge, Timed
from jobs.spool import SpoolWriter
from schemas.decode import Decoder
from schemas.logs import Log
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
    merge = Merge(log, _reader(settings))
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


def _write(spool: SpoolWriter, timed: Timed) -> None:
    record = timed.record
    place = record.place.replace(_REFUSED, "?")  # a file's name may hold anything
    if timed.rejected is None:
        spool.write(timed.subject, timed.time_ms, place, record.raw)
    else:
        place = _REFUSED.join((place, timed.rejected.reason, timed.rejected.detail))
        spool.write("", None, place, record.original)


def _reader(settings: Settings) -> Look:
    decode = Decoder(settings).decode

    def look(raw: bytes) -> tuple[str, int]:
        subject, fact = decode(raw)
        return subject, fact.time_ms

    return look
