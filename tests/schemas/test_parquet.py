"""Parquet logs."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.logs import Format, open_log
from schemas.parquet import read_rows
from schemas.records import LogError


def rows_of(path: Path, table: pa.Table) -> list[dict[str, Any]]:
    pq.write_table(table, path)
    return [msgspec.json.decode(row) for _, row in read_rows(path, lambda _: None)]


class TestRows:
    """Rows become canonical JSON objects."""

    @pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
    @pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
    def test_timestamps(self, tmp_path: Path, unit: str, zone: str | None) -> None:
        """Timestamps of any unit and zone are epoch milliseconds; without a zone they are UTC."""
        moment = datetime(2024, 5, 1, 12, tzinfo=UTC)
        values = [moment if zone else moment.replace(tzinfo=None), None]
        table = pa.table({"timestamp": pa.array(values, pa.timestamp(unit, zone))})
        assert rows_of(tmp_path / "a", table) == [{"timestamp": 1_714_564_800_000}, {}]

    @pytest.mark.parametrize("unit", ["us", "ns"])
    def test_fractions(self, tmp_path: Path, unit: str) -> None:
        """Digits beyond milliseconds are cut off."""
        table = pa.table({"timestamp": pa.array([datetime(2024, 5, 1, 12, 0, 0, 123_999)], pa.timestamp(unit))})
        assert rows_of(tmp_path / "a", table) == [{"timestamp": 1_714_564_800_123}]

    def test_decimals(self, tmp_path: Path) -> None:
        """Decimals keep every digit."""
        pq.write_table(pa.table({"total": pa.array([Decimal("12345678901234567890.10")])}), tmp_path / "a")
        assert [row for _, row in read_rows(tmp_path / "a", lambda _: None)] == [b'{"total":12345678901234567890.10}']

    def test_gaps(self, tmp_path: Path) -> None:
        """What is null or NaN is left out; whole numbers stored as floats are whole numbers."""
        table = pa.table({"quantity": [2.0, float("nan"), None], "price": [0.1, 19.99, None]})
        assert rows_of(tmp_path / "a", table) == [{"quantity": 2, "price": 0.1}, {"price": 19.99}, {}]

    def test_nested(self, tmp_path: Path) -> None:
        """Lists, structs, maps and bytes become what JSON has for them."""
        table = pa.table(
            {
                "products": [[{"product_id": "p", "quantity": None}]],
                "purposes": pa.array([[("ads", True)]], pa.map_(pa.string(), pa.bool_())),
                "event_id": [b"e"],
            }
        )
        assert rows_of(tmp_path / "a", table) == [
            {"products": [{"product_id": "p"}], "purposes": {"ads": True}, "event_id": "e"}
        ]

    def test_damaged(self, tmp_path: Path) -> None:
        """A file that only begins like Parquet is an error that names it."""
        (tmp_path / "a").write_bytes(b"PAR1" + bytes(100))
        with pytest.raises(LogError, match="a: not a readable Parquet file"):
            list(read_rows(tmp_path / "a", lambda _: None))


class TestLog:
    """Parquet files are logs like others."""

    def test_progress_and_places(self, tmp_path: Path) -> None:
        """Places name rows, and progress reaches the size of the file."""
        ids = [str(number) for number in range(10_000)]
        table = pa.table(
            {"event_id": ids, "type": ["erase"] * 10_000, "customer_id": ids, "timestamp": [10**12] * 10_000}
        )
        pq.write_table(table, tmp_path / "log")
        log = open_log([tmp_path / "log"])
        assert log.files[0].format is Format.CANONICAL
        records = list(log)
        assert records[-1].place == "log:10000"
        assert msgspec.json.decode(records[-1].raw)["event_id"] == "9999"
        assert log.position_bytes == log.total_bytes == (tmp_path / "log").stat().st_size
