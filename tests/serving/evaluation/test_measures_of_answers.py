"""Measures, by hand."""

import pytest

from serving.evaluation.measures import Tally, difference, report


def tally(*answers: tuple[int, str, str]) -> Tally:
    """(visitor, shown, came): items are letters."""
    made = Tally()
    for visitor, shown, came in answers:
        made.add(visitor, list(shown), came)
    return made


POPULARITY = {"a": 4.0, "b": 3.0, "c": 2.0, "d": 1.0, "e": 0.5}


class TestMeans:
    def test_by_hand(self) -> None:
        """Ranks 1, 3 and none."""
        found = report(tally((1, "abc", "a"), (1, "abc", "c"), (2, "abc", "d")), POPULARITY)
        assert found.questions == 3
        assert found.hit_rate.mean == pytest.approx(2 / 3)
        assert found.reciprocal_rank.mean == pytest.approx((1 + 1 / 3) / 3)
        assert found.ndcg.mean == pytest.approx((1 + 1 / 2) / 3)

    def test_intervals_hold_the_mean(self) -> None:
        """And draw visitors: of one alone nothing is known to vary."""
        found = report(tally(*((visitor, "ab", "a" if visitor % 3 else "c") for visitor in range(60))), POPULARITY)
        assert found.hit_rate.low < found.hit_rate.mean < found.hit_rate.high
        alone = report(tally((1, "ab", "a"), (1, "ab", "c")), POPULARITY).hit_rate
        assert alone.low == alone.mean == alone.high

    def test_the_same_twice(self) -> None:
        """The draws are seeded."""
        answers = [(visitor, "ab", "a" if visitor % 3 else "c") for visitor in range(20)]
        assert report(tally(*answers), POPULARITY) == report(tally(*answers), POPULARITY)

    def test_no_questions(self) -> None:
        """No answer to how good it is, and no failure."""
        assert report(Tally(), POPULARITY).hit_rate.mean == 0


class TestDifferences:
    def test_question_by_question(self) -> None:
        """Where both were asked the same."""
        one, other = tally((1, "ab", "a"), (2, "ab", "b")), tally((1, "ba", "a"), (2, "cd", "b"))
        found = difference(one, other)
        assert found is not None
        assert (found.hit_rate.mean, found.reciprocal_rank.mean) == (0.5, 0.5)
        assert found.hit_rate.low >= 0
        assert difference(one, tally((1, "ab", "a"))) is None


class TestSpread:
    def test_coverage_popularity_and_gini(self) -> None:
        """The most popular alone; and all five evenly."""
        one = report(tally((1, "a", "b"), (2, "a", "b")), POPULARITY)
        assert (one.coverage, one.popularity, one.gini) == (0.2, 0.0, pytest.approx(0.8))
        even = report(tally((1, "abcde", "b")), POPULARITY)
        assert (even.coverage, even.popularity, even.gini) == (1.0, 0.5, pytest.approx(0.0))
