"""Timestamps."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.timestamps import EARLIEST_MS, EPOCH, format_ms, parse_rfc3339

zones = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(1971, 1, 1), datetime(2099, 1, 1), timezones=zones)


class TestParse:
    """RFC 3339, cut to milliseconds."""

    @given(moments, st.sampled_from(["auto", "seconds", "milliseconds", "microseconds"]))
    def test_any_moment(self, moment: datetime, precision: str) -> None:
        """It agrees with calendar arithmetic."""
        text = moment.isoformat(timespec=precision)
        exact = datetime.fromisoformat(text)
        assert parse_rfc3339(text) == (exact - EPOCH) // timedelta(milliseconds=1)
        if moment.utcoffset() == timedelta(0):
            assert parse_rfc3339(text.replace("+00:00", "Z")) == parse_rfc3339(text)

    @pytest.mark.parametrize(
        ("text", "time_ms"),
        [
            ("1990-01-01T00:00:00Z", EARLIEST_MS),
            ("1990-01-01t00:00:00z", EARLIEST_MS),
            ("1990-01-01 00:00:00-00:00", EARLIEST_MS),
            ("1990-01-01T00:00:00.9999999999Z", EARLIEST_MS + 999),
            ("1990-01-01T00:00:00.1Z", EARLIEST_MS + 100),
            ("1990-01-01T05:30:00+05:30", EARLIEST_MS),
            ("1989-12-31T23:59:60Z", EARLIEST_MS),
            ("1989-12-31T18:29:60.000-05:30", EARLIEST_MS),
        ],
    )
    def test_forms(self, text: str, time_ms: int) -> None:
        """Every form that the standard allows, the leap second included."""
        assert parse_rfc3339(text) == time_ms

    @pytest.mark.parametrize(
        "text",
        [
            *("", "2024-05-01", "2024-05-01T12:00:00", "2024-05-01T12:00Z", "2024-05-01T12:00:00+0100"),
            *("20240501T120000Z", "2024-02-30T12:00:00Z", "2024-05-01T24:00:00Z", "2024-05-01T12:00:00,5Z"),
            *("2024-W18-3T12:00:00Z", "2024-05-01T12:00:00+25:00", "2024-05-01T12:00:61Z", " 2024-05-01T12:00:00Z"),
            *("2024-05-01T12:00:00Z\n", "٢٠٢٤-05-01T12:00:00Z", "2024-05-01T12:00:00 Z", "2024-05-01T1a:00:00Z"),
            *("+2024-05-1T12:00:00Z", "2024-05-01x12:00:00Z", "2024-05-01T12:00:00.12aZ", "2024-05-01T12-00-00Z"),
        ],
    )
    def test_refused(self, text: str) -> None:
        """Whatever has no zone, is no such moment or is written otherwise."""
        with pytest.raises(ValueError, match=r"."):
            parse_rfc3339(text)

    @given(st.text(alphabet="0123456789-:.TZ+ W,", max_size=28))
    def test_fuzz(self, text: str) -> None:
        """Nothing but ValueError is ever raised."""
        try:
            parse_rfc3339(text)
        except ValueError:
            return

    def test_offset_out_of_the_calendar(self) -> None:
        """The first and last moments of the calendar do not overflow."""
        assert parse_rfc3339("0001-01-01T00:00:00+23:59") < 0
        assert parse_rfc3339("9999-12-31T23:59:59-23:59") > 0


class TestFormat:
    """For people."""

    @given(st.integers(0, 4_102_444_800_000))
    def test_round_trip(self, time_ms: int) -> None:
        """What is written can be read."""
        assert parse_rfc3339(format_ms(time_ms)) == time_ms
        assert format_ms(time_ms) == datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S") + (
            f".{time_ms % 1000:03d}Z"
        )

    def test_no_date(self) -> None:
        """A number beyond any calendar is shown as it is."""
        assert format_ms(10**25) == f"{10**25} ms"
