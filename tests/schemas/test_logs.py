"""Logs: files, folders, formats."""

import itertools
import json
import os
from pathlib import Path

import pytest
from event_documents import line
from hypothesis import given, settings
from hypothesis import strategies as st
from packed_files import PACK

from schemas.logs import Format, LogError, open_log
from schemas.rejects import Reason

CANONICAL = line("product_viewed")
SEGMENT = json.dumps(
    {"type": "track", "event": "Product Viewed", "messageId": "m", "userId": "u", "properties": {"product_id": "p"}}
).encode()
GA4 = json.dumps(
    {
        "event_name": "view_item",
        "event_timestamp": "1714564800123456",
        "user_pseudo_id": "u",
        "items": [{"item_id": "p"}],
    }
).encode()
RETAIL = (
    b"InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
    b"1,12345,MUG,1,2011-01-04 10:00:00,2.5,17.0,France"
)
SAMPLES = {
    Format.CANONICAL: CANONICAL,
    Format.SEGMENT: SEGMENT,
    Format.GA4: GA4,
    Format.ONLINE_RETAIL: RETAIL,
}


class TestDetection:
    """The content of a file says what it is, never its name."""

    @pytest.mark.parametrize("format_", SAMPLES)
    @pytest.mark.parametrize("container", sorted(PACK))
    def test_format(self, tmp_path: Path, format_: Format, container: str) -> None:
        """Every format in every container, with the wrong ending, one record each."""
        path = tmp_path / "log.bin"
        path.write_bytes(PACK[container](SAMPLES[format_] + b"\n"))
        log = open_log([path])
        assert (log.files[0].format, log.files[0].container) == (format_, container)
        (record,) = log
        assert record.rejected is None
        assert json.loads(record.raw)["event_id"]
        assert record.place == ("log.bin:2" if format_ is Format.ONLINE_RETAIL else "log.bin:1")

    @pytest.mark.parametrize(
        ("first", "format_"),
        [
            (b'{"type":"identify","event_id":"e","customer_id":"c"}', Format.CANONICAL),
            (b'{"type":"identify","messageId":"m","userId":"u"}', Format.SEGMENT),
            (b'{"type":"page","messageId":"m"}', Format.SEGMENT),
            (b'not JSON\n[]\n{"other":1}\n' + GA4, Format.GA4),
            (b"not JSON", Format.CANONICAL),
            (b'{"type":7}', Format.CANONICAL),
            (b'{"type":["track"],"event_id":"e"}', Format.CANONICAL),
            (b"", Format.CANONICAL),
        ],
    )
    def test_first_records(self, tmp_path: Path, first: bytes, format_: Format) -> None:
        """The first record that can be told decides; without one the log is canonical and its lines are rejected."""
        path = tmp_path / "log"
        path.write_bytes(first)
        assert open_log([path]).files[0].format is format_

    def test_named_format_wins(self, tmp_path: Path) -> None:
        """A format that is named is not looked for."""
        path = tmp_path / "log"
        path.write_bytes(SEGMENT)
        (record,) = open_log([path], "canonical")
        assert record.raw == SEGMENT

    @pytest.mark.parametrize("first", [b"[", b"[{}]", b"{", b"\xff\xfe", b"a,b"])
    def test_bad_first_line(self, tmp_path: Path, first: bytes) -> None:
        """A log whose first line is out of order is a log; that line is one of its records."""
        path = tmp_path / "log.csv"
        path.write_bytes(first + b"\n" + b"\n".join([CANONICAL] * 3))
        log = open_log([path])
        assert log.files[0].format is Format.CANONICAL
        assert len(list(log)) == 4

    @pytest.mark.parametrize(
        "content",
        [b"[\n{},\n{}\n]", b"[\n" + CANONICAL + b",\n" + CANONICAL + b"\n]", b"[{}]", b"{\n}", "{}".encode("utf-16")],
    )
    def test_other_files(self, tmp_path: Path, content: bytes) -> None:
        """Documents over several lines and UTF-16 are refused with a hint."""
        path = tmp_path / "log"
        path.write_bytes(content)
        with pytest.raises(LogError, match=r"log: .*(jq|UTF-8)"):
            open_log([path])

    def test_other_csv(self, tmp_path: Path) -> None:
        """A CSV file of another shape is refused, whether or not the format is named."""
        path = tmp_path / "log.csv"
        path.write_bytes(b"a,b\n1,2\n")
        with pytest.raises(LogError, match="header"):
            open_log([path])
        with pytest.raises(LogError, match="header"):
            list(open_log([path], "online-retail"))


class TestFuzz:
    """Whatever a file holds, its rows come back or the file is refused."""

    lines = st.binary(max_size=40) | st.sampled_from([CANONICAL, SEGMENT, GA4, *RETAIL.split(b"\n")])

    @pytest.mark.parametrize("format_", [format_.value for format_ in Format])
    @settings(max_examples=40)
    @given(content=st.lists(lines, max_size=6).map(b"\n".join), container=st.sampled_from(sorted(PACK)))
    def test_any_content(
        self, format_: str, content: bytes, container: str, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        """Every line that is not blank is in exactly one record, but for the header of a table."""
        path = tmp_path_factory.getbasetemp() / "fuzz.jsonl"
        path.write_bytes(PACK[container](content))
        try:
            log = open_log([path], format_)
            rows = sum(record.source_rows for record in log)
        except LogError:
            return
        if container != "plain" or log.files[0].container == "plain":
            lines = sum(1 for line in content.removeprefix(b"\xef\xbb\xbf").split(b"\n") if line.strip())
            assert rows == max(0, lines - (log.files[0].format is Format.ONLINE_RETAIL))


class TestPaths:
    """Files and folders as users give them."""

    def test_folder(self, tmp_path: Path) -> None:
        """A folder stands for the logs below it, in order of their paths, each of its own format."""
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / "x.jsonl.gz").write_bytes(PACK["gzip"](SEGMENT))
        (tmp_path / "a.jsonl").write_bytes(CANONICAL)
        (tmp_path / "c.csv.xz").write_bytes(PACK["xz"](RETAIL))
        for other in ("README.md", ".hidden.jsonl", "_SUCCESS.json"):
            (tmp_path / other).write_bytes(b"?")
        log = open_log([tmp_path])
        assert [file.name for file in log.files] == ["a.jsonl", "x.jsonl.gz", "c.csv.xz"]
        assert [record.place for record in log] == ["a.jsonl:1", "x.jsonl.gz:1", "c.csv.xz:2"]
        assert log.position_bytes == log.total_bytes

    def test_same_name(self, tmp_path: Path) -> None:
        """Files of the same name are told apart by their paths."""
        paths = [tmp_path / "a" / "log.jsonl", tmp_path / "b" / "log.jsonl"]
        for path in paths:
            path.parent.mkdir()
            path.write_bytes(CANONICAL)
        assert [record.place for record in open_log(paths)] == [f"{path}:1" for path in paths]

    def test_again(self, tmp_path: Path) -> None:
        """A log can be read twice, with the same outcome."""
        path = tmp_path / "log"
        path.write_bytes(b"\n".join([CANONICAL] * 3))
        log = open_log([path])
        assert list(log) == list(log)

    @pytest.mark.parametrize("format_", ["auto", "parquet"])
    def test_problems(self, tmp_path: Path, format_: str) -> None:
        """What cannot be opened says what is wrong."""
        path = tmp_path / "log"
        path.write_bytes(CANONICAL)
        if format_ != "auto":
            with pytest.raises(LogError, match="choose one of auto, canonical, segment, ga4, online-retail"):
                open_log([path], format_)
            return
        (tmp_path / "folder").mkdir()
        os.mkfifo(tmp_path / "pipe")
        for wrong, message in (("gone", "no such file"), ("folder", "no logs"), ("pipe", "not an ordinary file")):
            with pytest.raises(LogError, match=message):
                open_log([path, tmp_path / wrong])
        with pytest.raises(LogError, match="no files"):
            open_log([])

    def test_cut_short(self, tmp_path: Path) -> None:
        """Of a file that ends too early, the records before are yielded; then it is an error."""
        path = tmp_path / "log"
        path.write_bytes(PACK["gzip"](b"\n".join(line("erase", event_id=os.urandom(8).hex()) for _ in range(999)))[:-9])
        records = iter(open_log([path], "canonical"))
        assert len(list(itertools.islice(records, 900))) == 900
        with pytest.raises(LogError, match="log: the gzip data ends too early"):
            list(records)

    def test_long_line(self, tmp_path: Path) -> None:
        """A line that is too long to be held is one rejected record, in every format."""
        path = tmp_path / "log"
        path.write_bytes(b"x" * (17 << 20) + b"\n" + CANONICAL)
        for format_ in ("auto", "segment", "ga4"):
            first, _ = open_log([path], format_)
            assert first.rejected is not None
            assert first.rejected.reason is Reason.RECORD_TOO_LARGE
            assert len(first.original) == 64 << 10
