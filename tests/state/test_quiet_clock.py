"""The clock of the live job: quiet sources, waking ones, restarts, replays."""

import pytest

from state.packing import pack
from state.quiet_clock import LIVE_LAG_MS, WAKING_MS, QuietClock

PATIENCE_MS, LATENESS_MS = 13_000, 7 * 86_400_000
NOW_MS = 1_800_000_000_000
NONE_YET = -(2**63)
LONG_AGO_MS = NOW_MS - 300 * 86_400_000


def clock(now_ms: int = NOW_MS - WAKING_MS, packed: bytes | None = None) -> QuietClock:
    """One that is just awake at NOW_MS."""
    return QuietClock(PATIENCE_MS, LATENESS_MS, now_ms, packed)


class TestQuietClock:
    def test_it_follows_a_source_that_moves(self) -> None:
        one = clock()
        marks = [LONG_AGO_MS + n * 86_400_000 for n in range(60)]
        assert [one.pulse(mark, NOW_MS + n * 1_000) for n, mark in enumerate(marks)] == marks

    def test_without_events_there_is_no_time(self) -> None:
        """Nobody knows in which year the topic is."""
        one = clock()
        assert [one.pulse(NONE_YET, NOW_MS + n * 1_000) for n in range(60)] == [None] * 60

    @pytest.mark.parametrize("mark_ms", [NOW_MS - 5_000, LONG_AGO_MS])
    def test_it_goes_on_at_the_pace_of_the_clock(self, mark_ms: int) -> None:
        """From where the watermark was, be it of now or of another year."""
        one = clock()
        assert one.pulse(mark_ms, NOW_MS) == mark_ms
        assert one.pulse(mark_ms, NOW_MS + PATIENCE_MS - 1) == mark_ms
        assert one.pulse(mark_ms, NOW_MS + PATIENCE_MS) == mark_ms + PATIENCE_MS
        assert one.pulse(mark_ms, NOW_MS + 60_000) == mark_ms + 60_000

    def test_a_source_that_wakes_is_not_believed_at_once(self) -> None:
        """The first partition may bring weeks before the others begin: then the lowest counts."""
        one = clock()
        one.pulse(LONG_AGO_MS, NOW_MS)
        one.pulse(LONG_AGO_MS, NOW_MS + 60_000)
        weeks_ms, woken_ms = LONG_AGO_MS + 30 * 86_400_000, NOW_MS + 61_000
        assert one.pulse(weeks_ms, woken_ms) == LONG_AGO_MS + 61_000
        assert one.pulse(weeks_ms, woken_ms + WAKING_MS - 1) == LONG_AGO_MS + 61_000 + WAKING_MS - 1
        assert one.pulse(weeks_ms, woken_ms + WAKING_MS) == weeks_ms

    def test_an_empty_topic_that_wakes(self) -> None:
        one = clock()
        one.pulse(NONE_YET, NOW_MS + 60_000)
        assert one.pulse(LONG_AGO_MS, NOW_MS + 61_000) is None
        assert one.pulse(LONG_AGO_MS + 1, NOW_MS + 61_000 + WAKING_MS) == LONG_AGO_MS + 1

    def test_a_source_that_says_one_thing_and_is_quiet_again(self) -> None:
        """Time is believed once the waking is over, and goes on from when it was said."""
        one = QuietClock(5_000, LATENESS_MS, NOW_MS - WAKING_MS)
        one.pulse(NONE_YET, NOW_MS)
        assert one.pulse(NOW_MS - 100, NOW_MS + 1_000) is None
        assert one.pulse(NOW_MS - 100, NOW_MS + 1_000 + WAKING_MS) == NOW_MS - 100 + WAKING_MS

    def test_a_pause_of_a_replay_makes_nothing_too_late(self) -> None:
        """Even if it lasts a year."""
        one = clock()
        one.pulse(LONG_AGO_MS, NOW_MS)
        assert one.pulse(LONG_AGO_MS, NOW_MS + 365 * 86_400_000) == LONG_AGO_MS + LATENESS_MS // 2

    def test_a_live_source_may_be_quiet_for_long(self) -> None:
        one = clock()
        one.pulse(NOW_MS - LIVE_LAG_MS, NOW_MS)
        assert one.pulse(NOW_MS - LIVE_LAG_MS, NOW_MS + 30 * 86_400_000) == NOW_MS - LIVE_LAG_MS + 30 * 86_400_000

    def test_a_restart_on_a_live_topic(self) -> None:
        """The time without a job counts."""
        one = clock()
        one.pulse(NOW_MS - 5_000, NOW_MS)
        later_ms = NOW_MS + 3_600_000
        two = clock(later_ms, one.packed())
        assert two.pulse(NONE_YET, later_ms + PATIENCE_MS) == NOW_MS - 5_000 + 3_600_000 + PATIENCE_MS

    def test_a_restart_of_a_replay(self) -> None:
        """The time without a job does not count."""
        one = clock()
        one.pulse(LONG_AGO_MS, NOW_MS)
        later_ms = NOW_MS + 86_400_000
        two = clock(later_ms, one.packed())
        assert two.pulse(NONE_YET, later_ms + PATIENCE_MS) == LONG_AGO_MS + PATIENCE_MS

    def test_a_restart_of_a_replay_that_pauses(self) -> None:
        """Time does not go back to where the log had come; nor does a pause get longer than a pause may be."""
        one = clock()
        one.pulse(LONG_AGO_MS, NOW_MS)
        assert one.pulse(LONG_AGO_MS, NOW_MS + 60_000) == LONG_AGO_MS + 60_000
        later_ms = NOW_MS + 86_400_000
        two = clock(later_ms, one.packed())
        assert two.pulse(NONE_YET, later_ms) == LONG_AGO_MS + 60_000
        assert two.pulse(NONE_YET, later_ms + 1_000) == LONG_AGO_MS + 61_000
        assert two.pulse(NONE_YET, later_ms + 365 * 86_400_000) == LONG_AGO_MS + LATENESS_MS // 2
        three = clock(later_ms, two.packed())
        assert three.pulse(NONE_YET, later_ms + PATIENCE_MS) == LONG_AGO_MS + LATENESS_MS // 2

    def test_the_state_of_a_release_before(self) -> None:
        """It did not know how much time had passed."""
        two = clock(NOW_MS, pack((1, LONG_AGO_MS, NOW_MS - 60_000)))
        assert two.pulse(NONE_YET, NOW_MS + PATIENCE_MS) == LONG_AGO_MS + PATIENCE_MS

    def test_after_a_restart_the_source_repeats_itself(self) -> None:
        """Watermarks up to the one known mean that it is awake, and nothing else."""
        one = clock()
        one.pulse(LONG_AGO_MS, NOW_MS)
        two = clock(NOW_MS, one.packed())
        assert two.pulse(LONG_AGO_MS - 60_000, NOW_MS + WAKING_MS) == LONG_AGO_MS

    def test_a_wall_clock_that_is_set_back(self) -> None:
        one = clock()
        one.pulse(NOW_MS, NOW_MS)
        assert one.pulse(NOW_MS, NOW_MS - 60_000) == NOW_MS

    def test_a_newer_state_is_refused(self) -> None:
        with pytest.raises(ValueError, match="newer program"):
            clock(NOW_MS, bytes([0x93, 99, 0, 0]))
