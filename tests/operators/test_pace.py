"""How often work is done that can be put off."""

from operators.pace import Pace


class TestPace:
    def test_at_least_so_long(self) -> None:
        """Between two rounds, however little they do."""
        now_s = [100.0]
        pace = Pace(10.0, 0.05, lambda: now_s[0])
        assert pace.is_due
        pace.begin_round()
        now_s[0] = 109.9
        assert not pace.is_due
        now_s[0] = 110.0
        assert pace.is_due

    def test_a_share_of_the_time(self) -> None:
        """Two parts of half a second each, a while after the round has begun: nothing for twenty seconds."""
        now_s = [100.0]
        pace = Pace(10.0, 0.05, lambda: now_s[0])
        pace.begin_round()
        for began_s in (103.0, 104.0):
            now_s[0] = began_s
            pace.begin_part()
            now_s[0] += 0.5
            pace.end_part()
        now_s[0] = 129.9
        assert not pace.is_due
        now_s[0] = 130.0
        assert pace.is_due

    def test_another_share(self) -> None:
        """What was done counts by the share of now: two seconds are nothing to wait for where half of the time is."""
        now_s = [100.0]
        pace = Pace(10.0, 0.01, lambda: now_s[0])
        pace.begin_round()
        pace.begin_part()
        now_s[0] += 2.0
        pace.end_part()
        now_s[0] = 309.0
        assert not pace.is_due
        pace.share = 0.5
        assert pace.is_due
        now_s[0] = 113.0
        assert not pace.is_due
        now_s[0] = 114.0
        assert pace.is_due
