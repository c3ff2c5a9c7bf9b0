"""The spool: what the launcher has read, in the order in which it read it, as one file that the embedded job follows.

A line is `"key",time_ms,payload`: CSV, which Flink reads in Java, in order, since such a file is never split. The
payload is base64 of place, 0x1F and the raw bytes, so that no byte of a record can be taken for anything else.
"""

from binascii import b2a_base64
from pathlib import Path
from types import TracebackType
from typing import Self

from state.customer.logic import PLACE_END

_BUFFER_BYTES = 1 << 20


class SpoolWriter:
    """Writes a new file `events.csv` in a private folder.

    Raises:
        FileExistsError: there is one already.
    """

    def __init__(self, folder: Path) -> None:
        """Create the folder, readable by its owner only, if there is none."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = folder / "events.csv"
        self._file = open(self.path, "xb", buffering=_BUFFER_BYTES)  # noqa: SIM115  (closed by close())
        self.records = 0
        self.newest_ms = 0
        """Newest event time so far; a record without one goes with it, so that it moves no clock."""

    def write(self, key: str, time_ms: int | None, place: str, raw: bytes) -> None:
        """Append a record. Without a valid subject `key` is empty; without a valid time `time_ms` is None.

        Raises:
            UnicodeEncodeError: the key holds a lone surrogate, so it is no valid subject.
        """
        if time_ms is None:
            time_ms = self.newest_ms
        elif time_ms > self.newest_ms:
            self.newest_ms = time_ms
        where = place.replace("\x1f", "?").encode(errors="surrogateescape")
        payload = b2a_base64(b"%b%b%b" % (where, PLACE_END, raw), newline=False)
        self._file.write(b'"%b",%d,%b\n' % (key.replace('"', '""').encode(), time_ms, payload))
        self.records += 1

    def close(self) -> None:
        """All is written."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
