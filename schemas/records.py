"""What a log yields: one record at a time, with the place where it stands."""

import msgspec

from schemas.rejects import Rejected


class LogError(Exception):
    """A log that cannot be read; the message names the file and says what to do."""


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record of a log: canonical JSON to decode, or what could not be turned into that.

    Every row of the input belongs to exactly one record that is read, accepted or rejected.
    """

    place: str
    """File and line (row of a table), `name:line`; `#2` and so on for further events of the same row."""
    raw: bytes
    """Canonical JSON of the event; for a rejected record, what stood in the file."""
    rejected: Rejected | None = None
    source_rows: int = 1
    """Rows that went into this record: many for an invoice, none for the further events of one row."""
    source: bytes | None = None
    """What stood in the file, where an adapter made `raw` out of it."""

    @property
    def original(self) -> bytes:
        """What stood in the file: this is what a reject has to show."""
        return self.raw if self.source is None else self.source
