"""The clock stops at a moment of publication while the topic is quiet, and only then."""

import json
from typing import Any

import pytest

from schemas.control import decode_control
from state.stops import HOLD_MS, Stops

T_MS, NOW_MS = 1_000_000, 1_800_000_000_000


def asked(stops: Stops, **record: Any) -> int | None:
    """The moment that was settled."""
    raw = json.dumps({"control_id": "a", "kind": "publish", **record}).encode()
    place, _, told = stops.on_record(b"control:0:1\x1f" + raw).partition(b"\x1f")
    assert place == b"control:0:1"
    return decode_control(told, 999).as_of_ms


def second(stops: Stops, number: int, *, quiet: bool = True) -> int:
    """What time it is said to be after so many seconds; without stops T_MS + number * 1,000."""
    return stops.time_ms(T_MS + number * 1_000, NOW_MS + number * 1_000, quiet=quiet)


class TestStops:
    def test_it_stands_still_at_the_moment_itself(self) -> None:
        """For as long as it was asked to; then it catches up."""
        stops = Stops()
        assert second(stops, 0) == T_MS
        assert asked(stops, as_of_ms=T_MS + 1_500, hold_ms=3_000) == T_MS + 1_500
        assert [second(stops, number) for number in range(1, 7)] == [
            T_MS + 1_000, T_MS + 1_500, T_MS + 1_500, T_MS + 1_500, T_MS + 5_000, T_MS + 6_000,
        ]  # fmt: skip
        assert stops.ahead == []

    def test_now_is_the_next_millisecond(self) -> None:
        """And so is what has passed; a minute if nothing is said."""
        for as_of_ms in (None, 5, T_MS):
            stops = Stops()
            second(stops, 0)
            assert asked(stops, **({} if as_of_ms is None else {"as_of_ms": as_of_ms})) == T_MS + 1
            assert stops.ahead == [(T_MS + 1, HOLD_MS)]
            assert [second(stops, number) for number in (1, 60, 61)] == [T_MS + 1, T_MS + 1, T_MS + 61_000]

    def test_a_source_that_moves_is_not_held(self) -> None:
        stops = Stops()
        second(stops, 0)
        asked(stops, as_of_ms=T_MS + 500)
        assert second(stops, 1) == T_MS + 500
        assert second(stops, 2, quiet=False) == T_MS + 2_000
        assert second(stops, 3) == T_MS + 3_000

    def test_one_after_the_other(self) -> None:
        stops = Stops()
        second(stops, 0)
        for as_of_ms in (T_MS + 700, T_MS + 300):
            asked(stops, as_of_ms=as_of_ms, hold_ms=2_000)
        said = [second(stops, number) - T_MS for number in range(1, 7)]
        assert said == [300, 300, 700, 700, 5_000, 6_000]

    def test_a_restart_forgets_none(self) -> None:
        """Although the time without a job may count: it stops there all the same."""
        stops = Stops()
        second(stops, 0)
        asked(stops, as_of_ms=T_MS + 500, hold_ms=1_000)
        again = Stops(stops.packed())
        assert [second(again, number) - T_MS for number in (3_600, 3_601)] == [500, 3_601_000]

    def test_before_anybody_knows_what_time_it_is(self) -> None:
        """The record goes on as it is; time stops there unless it turns out to be later already."""
        stops = Stops()
        assert asked(stops) is None
        assert asked(stops, as_of_ms=T_MS + 500) == T_MS + 500
        assert asked(stops, as_of_ms=T_MS) == T_MS
        assert [second(stops, number) - T_MS for number in (0, 1)] == [0, 500]

    def test_other_records_go_on_as_they_are(self) -> None:
        stops = Stops()
        second(stops, 0)
        for payload in (
            b"control:0:1\x1f{",
            b"control:0:1\x1enull_value\x1ethe record has no value\x1f",
            b'control:0:1\x1f{"control_id": "a", "kind": "settings", "settings": {}}',
        ):
            assert stops.on_record(payload) == payload
        assert stops.ahead == []

    def test_a_newer_state_is_refused(self) -> None:
        with pytest.raises(ValueError, match="newer program"):
            Stops(b"\x92\x02\x90")
