"""Measures, by hand."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from serving.evaluation import measures, showings
from serving.evaluation.measures import Interval, Tally, difference, report
from serving.evaluation.showings import Showings


def tally(*answers: tuple[int, str, str]) -> Tally:
    """(visitor, shown, came): items are letters."""
    made = Tally()
    for visitor, shown, came in answers:
        made.add(visitor, list(shown), came)
    return made


POPULARITY = {"a": 4.0, "b": 3.0, "c": 2.0, "d": 1.0, "e": 0.5}
SHOWN = st.lists(st.sampled_from("abcdexy"), max_size=4, unique=True).map("".join)
ANSWERS = st.lists(st.tuples(st.integers(0, 5), SHOWN, st.just("a")), min_size=1, max_size=9)
"""Of items that nobody knows, too."""


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
        assert (one.coverage.mean, one.popularity.mean, one.gini.mean) == (0.2, 0.0, pytest.approx(0.8))
        even = report(tally((1, "abcde", "b")), POPULARITY)
        assert (even.coverage.mean, even.popularity.mean, even.gini.mean) == (1.0, 0.5, pytest.approx(0.0))

    def test_intervals(self) -> None:
        """No width where all visitors are shown the same; else they hold what was measured, between 0 and 1."""
        same = report(tally(*((visitor, "ab", "a") for visitor in range(30))), POPULARITY)
        for found in (same.coverage, same.popularity, same.gini):
            assert found.low == pytest.approx(found.mean)
            assert found.high == pytest.approx(found.mean)
        other = report(tally(*((visitor, "ab" if visitor % 9 else "ce", "a") for visitor in range(30))), POPULARITY)
        for found in (other.coverage, other.popularity, other.gini):
            assert 0 <= found.low <= found.mean <= found.high <= 1
            assert found.low < found.high

    def test_nothing_known_was_shown(self) -> None:
        """No coverage, and no failure."""
        assert report(tally((1, "xy", "a")), POPULARITY).coverage == Interval(0.0, 0.0, 0.0)
        assert report(tally((1, "", "a")), {}).gini == Interval(0.0, 0.0, 0.0)

    @given(ANSWERS)
    @settings(max_examples=20, deadline=None)  # a thousand draws, made by hand
    def test_by_the_definition(self, answers: list[tuple[int, str, str]]) -> None:
        """Each draw made of the lists themselves: those of a visitor drawn twice are there twice."""
        of = {visitor: [shown for one, shown, _ in answers if one == visitor] for visitor, _, _ in sorted(answers)}
        assume(any(set(shown) & POPULARITY.keys() for _, shown, _ in answers))
        random, draws = np.random.default_rng(1), []
        for _ in range(measures.SAMPLES):
            drawn = random.integers(0, len(of), len(of))
            draws.append(spread([shown for place in drawn for shown in list(of.values())[place]]))
        measured = spread([shown for _, shown, _ in answers])
        found = report(tally(*answers), POPULARITY)
        for place, one in enumerate((found.coverage, found.popularity, found.gini)):
            column = [draw[place] for draw in draws]
            low, high = (measured[place] + np.quantile(column, at) - np.mean(column) for at in (0.025, 0.975))
            assert one.mean == pytest.approx(measured[place])
            low, high = max(0, min(measured[place], low)), min(1, max(measured[place], high))
            assert (one.low, one.high) == pytest.approx((low, high))

    def test_intervals_hold_what_other_visitors_would_give(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of many shops alike, most intervals hold the mean of all shops: chance is what they measure, all of it."""
        monkeypatch.setattr(measures, "SAMPLES", 200)
        random = np.random.default_rng(5)
        popularity = {f"i{place:03}": 200.0 - place for place in range(200)}
        chances = 1 / np.arange(1, 201)
        found = []
        for _ in range(60):
            made = Tally()
            for visitor in range(150):
                for _ in range(1 + visitor % 4):
                    shown = random.choice(200, 4, replace=False, p=chances / chances.sum())
                    made.add(visitor, [f"i{place:03}" for place in shown], "i000")
            found.append(report(made, popularity))
        for name in ("coverage", "popularity", "gini"):
            intervals = [getattr(one, name) for one in found]
            mean = np.mean([one.mean for one in intervals])
            held = sum(one.low <= mean <= one.high for one in intervals)
            assert held >= 51, (name, held)
            assert np.mean([one.high - one.low for one in intervals]) < 6 * np.std([one.mean for one in intervals])


def spread(lists: list[str]) -> tuple[float, float, float]:
    """Coverage, mean place by popularity and Gini coefficient, by their definitions."""
    items = sorted(POPULARITY, key=lambda item: -POPULARITY[item])
    shown = [item for listed in lists for item in listed if item in items]
    if not shown:
        return 0.0, 0.0, 0.0
    counts = [shown.count(item) for item in items]
    differences = sum(abs(a - b) for a in counts for b in counts)
    return (
        len(set(shown)) / len(items),
        sum(items.index(item) for item in shown) / (len(items) - 1) / len(shown),
        differences / (2 * len(items) * sum(counts)),
    )


class TestShowings:
    def test_counted_together_at_any_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """However often what came is added up, and with more visitors than groups."""
        monkeypatch.setattr(showings, "GROUPS", 8)
        monkeypatch.setattr(showings, "_BUFFERED", 3)
        made, plain = Showings(), Counter[tuple[int, str]]()
        random = np.random.default_rng(2)
        for visitor in random.integers(0, 30, 400).tolist():
            items = [f"i{place}" for place in random.choice(40, 3, replace=False)]
            made.add(visitor, items)
            plain.update((visitor % 8, item) for item in items)
        places, matrix = made.matrix({f"i{place}": place for place in range(30)})
        rows, columns = matrix.nonzero()
        found = {(int(group), f"i{places[row]}"): matrix[row, group] for row, group in zip(rows, columns, strict=True)}
        assert found == {key: count for key, count in plain.items() if int(key[1][1:]) < 30}
