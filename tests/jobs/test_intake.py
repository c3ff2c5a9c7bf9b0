"""Files to spool: merged by time, cut as of a time, every record with its outcome."""

import csv
from base64 import b64decode
from pathlib import Path

import pytest
from cli_runs import DAY, MINUTE, T0, event, log

from jobs.currency import currency_of
from jobs.intake import Intake, fill_spool
from jobs.spool import SpoolWriter
from schemas.logs import open_log
from schemas.settings import Settings

Line = tuple[str, int, str, bytes]


def spooled(
    folder: Path, *paths: Path, as_of_ms: int | None = None, told: list[tuple[int, int]] | None = None
) -> tuple[Intake, list[Line]]:
    """The intake, and (key, time after T0, place, raw) of every line of the spool."""
    with SpoolWriter(folder) as spool:
        on_progress = None if told is None else lambda *figures: told.append(figures)
        intake = fill_spool(open_log(paths), Settings(), spool, as_of_ms, on_progress)
    found: list[Line] = []
    with spool.path.open(encoding="utf-8", newline="") as lines:
        for key, time_ms, payload in csv.reader(lines):
            place, _, raw = b64decode(payload).partition(b"\x1f")
            found.append((key, int(time_ms) - T0, place.decode(), raw))
    return intake, found


class TestMerge:
    def test_files_that_overlap_are_replayed_by_time(self, tmp_path: Path) -> None:
        """Three ordered files, named in any order: one ordered sequence, the same each time."""
        times = {"a": (0, 3, 9), "b": (1, 2, 10), "c": (4, 5, 11)}
        paths = [
            log(tmp_path / f"{name}.jsonl", *(event(ms, name, ms) for ms in at_ms)) for name, at_ms in times.items()
        ]
        _, one = spooled(tmp_path / "1", *paths)
        assert [line[1] for line in one] == [0, 1, 2, 3, 4, 5, 9, 10, 11]
        assert spooled(tmp_path / "2", *reversed(paths))[1] == one
        (tmp_path / "folder").mkdir()
        for path in paths:
            path.rename(tmp_path / "folder" / path.name)
        assert spooled(tmp_path / "3", tmp_path / "folder")[1] == one

    def test_a_file_out_of_order_stays_so(self, tmp_path: Path) -> None:
        """Beside another one it is delayed by no more than it was: 8 comes before 5, as in the file."""
        one = log(tmp_path / "one.jsonl", *(event(ms, "a", ms) for ms in (0, 8, 5, 9)))
        other = log(tmp_path / "other.jsonl", *(event(100 + ms, "b", ms) for ms in (1, 6, 7, 20)))
        _, lines = spooled(tmp_path / "s", one, other)
        assert [line[1] for line in lines] == [0, 1, 6, 7, 8, 5, 9, 20]

    def test_same_times_go_by_name(self, tmp_path: Path) -> None:
        """Not by the order in which the files were named."""
        paths = [log(tmp_path / f"{name}.jsonl", event(1, name, 0), event(2, name, 0)) for name in "ab"]
        assert [line[0] for line in spooled(tmp_path / "1", *reversed(paths))[1]] == ["a", "a", "b", "b"]

    def test_progress_never_goes_back(self, tmp_path: Path) -> None:
        """Over several files: it grows, and ends with all bytes."""
        paths = [log(tmp_path / f"{name}.jsonl", *(event(n, name, n * MINUTE) for n in range(6_000))) for name in "abc"]
        told: list[tuple[int, int]] = []
        spooled(tmp_path / "s", *paths, told=told)
        assert told == sorted(told)
        assert told[-1][1] == sum(path.stat().st_size for path in paths)


class TestRecords:
    def test_rejected_ones_move_no_clock(self, tmp_path: Path) -> None:
        """They have no key, the time of the newest event before, and the reason in their place."""
        path = log(tmp_path / "l.jsonl", event(1, "a", DAY), b"{", event(2, "", 2 * DAY), event(3, "a", 0))
        intake, lines = spooled(tmp_path / "s", path)
        assert [line[:2] for line in lines] == [("a", DAY), ("", DAY), ("", DAY), ("a", 0)]
        assert lines[1][2].split("\x1e")[:2] == ["l.jsonl:2", "malformed_json"]
        assert lines[1][3] == b"{"
        assert lines[2][2].split("\x1e")[1] == "no_subject"
        assert (intake.read, intake.rows, intake.newest_ms) == (4, 4, T0 + DAY)
        assert intake.refused == {"malformed_json": 1, "no_subject": 1}
        assert intake.first_refused == "l.jsonl:2"

    def test_a_reject_shows_what_stood_in_the_file(self, tmp_path: Path) -> None:
        """Not what an adapter made of it."""
        source = b'{"type": "track", "event": "Product Viewed", "messageId": "m", "userId": "u", '
        source += b'"timestamp": "1960-01-01T00:00:00Z", "properties": {"product_id": "p"}}'
        _, lines = spooled(tmp_path / "s", log(tmp_path / "l.jsonl", source))
        assert lines[0][2].split("\x1e")[1] == "timestamp_too_old"
        assert lines[0][3] == source

    def test_odd_names_of_files(self, tmp_path: Path) -> None:
        """Separators in a name do not divide a place."""
        _, lines = spooled(tmp_path / "s", log(tmp_path / "a\x1e\x1fb.jsonl", event(1, "a", 0)))
        assert lines == [("a", 0, "a??b.jsonl:1", lines[0][3])]

    def test_as_of_leaves_out_what_is_later(self, tmp_path: Path) -> None:
        """To the millisecond; what has no time stays."""
        path = log(tmp_path / "l.jsonl", event(1, "a", 0), b"x", event(2, "a", 5), event(3, "a", 6))
        intake, lines = spooled(tmp_path / "s", path, as_of_ms=T0 + 5)
        assert [line[1] for line in lines] == [0, 0, 5]
        assert (intake.read, intake.rows, intake.after_as_of, intake.newest_ms) == (3, 3, 1, T0 + 5)

    def test_an_empty_log(self, tmp_path: Path) -> None:
        """No record, no time."""
        path = tmp_path / "l.jsonl"
        path.write_bytes(b"\n\n")
        intake, lines = spooled(tmp_path / "s", path)
        assert (intake.read, intake.newest_ms, lines) == (0, None, [])


class TestCurrency:
    @pytest.mark.parametrize(
        ("named", "found"),
        [((), "USD"), (("EUR",), "EUR"), (("eur", "GBP", "EUR"), "EUR"), (("GBP", "EUR"), "EUR"), ((17, "x"), "USD")],
    )
    def test_the_most_frequent_one(self, named: tuple[object, ...], found: str, tmp_path: Path) -> None:
        """Equal ones by name; dollars, if none is named."""
        events = [event(n, "a", 0, currency=one) for n, one in enumerate(named)]
        assert currency_of(open_log([log(tmp_path / "l.jsonl", event(9, "a", 0), *events)])) == found

    def test_the_order_of_files_does_not_matter(self, tmp_path: Path) -> None:
        """Each file is looked into."""
        euros = log(tmp_path / "a.jsonl", *(event(n, "a", 0, currency="EUR") for n in range(9_000)))
        pounds = log(tmp_path / "b.jsonl", *(event(n, "a", 0, currency="GBP") for n in range(4_000)))
        assert currency_of(open_log([euros, pounds])) == currency_of(open_log([pounds, euros])) == "EUR"
