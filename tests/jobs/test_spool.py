"""The spool, as far as it can be seen without Flink."""

import csv
from base64 import b64decode
from pathlib import Path

import pytest

from jobs.spool import SpoolWriter
from state.customer.logic import PLACE_END


def test_lines(tmp_path: Path) -> None:
    """Keys are quoted, payloads are base64, records without a time go with the newest one so far."""
    with SpoolWriter(tmp_path / "s") as spool:
        spool.write('a"b,c', 20, "log:1", b'{"x":\n\xff}')
        spool.write("", None, "log:2", b"")
        spool.write("d", 10, "lo\x1fg:3", b"\x1f")
        assert (spool.records, spool.newest_ms) == (3, 20)
    rows = list(csv.reader(spool.path.open(newline="")))
    assert [row[:2] for row in rows] == [['a"b,c', "20"], ["", "20"], ["d", "10"]]
    payloads = [b64decode(row[2]).split(PLACE_END, 1) for row in rows]
    assert payloads == [[b"log:1", b'{"x":\n\xff}'], [b"log:2", b""], [b"lo?g:3", b"\x1f"]]
    assert (tmp_path / "s").stat().st_mode & 0o077 == 0


def test_never_overwrites(tmp_path: Path) -> None:
    """A spool belongs to one run."""
    SpoolWriter(tmp_path).close()
    with pytest.raises(FileExistsError):
        SpoolWriter(tmp_path)
