"""The quick ranking says what the definition with integers alone says, however hard the numbers are made."""

from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from state.similar import ranking
from state.similar.ranking import Ranking
from state.similar.score import Candidates, Neighbour, Total, neighbours, score_millionths
from state.similar.settings import VIEWED_WITH, SimilarSettings

Entry = tuple[str, int, int]

values = st.one_of(st.integers(1, 9), st.integers(-9, 1 << 30), st.integers(1, 1 << 90), st.integers(1, 1 << 1100))
supports = st.one_of(st.integers(-2, 40), st.integers(1, 10**6), st.integers(1, 1 << 70))
bases = st.one_of(st.integers(600, 610), st.integers(0, 700), st.integers(0, 22_000))
totals = st.tuples(values, bases)
settings = st.builds(SimilarSettings, viewed_shrink=st.integers(0, 50), neighbours_max=st.integers(1, 6))


def found_of(total: Total, partners: Iterable[Entry]) -> Candidates:
    items, sums, counts = zip(*sorted(partners, key=lambda one: (-one[1], one[0])), strict=True)
    return Candidates(total, list(items), list(sums), list(counts), 0)


def both(found: Candidates, known: dict[str, Total], of: SimilarSettings) -> tuple[list[Neighbour], list[Neighbour]]:
    """What the ranking says, half of the totals told and half looked up; and what the definition says."""
    ranked = Ranking(VIEWED_WITH, of)
    for item, total in list(known.items())[::2]:
        ranked.put(item, total)
    quick = [Neighbour(*listed) for listed in ranked.best(found, known.get)]
    assert quick == [Neighbour(*listed) for listed in ranked.best(found, lambda item: None)], "it remembers"
    return quick, neighbours(found, known.get, VIEWED_WITH, of)


class TestItIsTheDefinition:
    @given(
        totals,
        st.dictionaries(st.text(max_size=2), st.tuples(values, supports, st.none() | totals), min_size=1, max_size=12),
        settings,
    )
    def test_for_numbers_of_any_size(self, total, partners, of):
        found = found_of(total, [(item, value, support) for item, (value, support, _) in partners.items()])
        known = {item: other for item, (_, _, other) in partners.items() if other}
        try:
            neighbours(found, known.get, VIEWED_WITH, of)
        except OverflowError:
            assume(False)  # a list has no way to say a score above 10^308
        quick, exact = both(found, known, of)
        assert quick == exact

    @pytest.mark.parametrize("seed", range(40))
    def test_for_rows_as_they_are_made(self, seed):
        """Long rows, with many equal scores, of totals many half-lives apart."""
        random = Random(seed)
        base = random.randint(600, 640)
        of = SimilarSettings(neighbours_max=random.choice((1, 5, 50)), viewed_shrink=random.choice((0, 10)))
        partners, known = [], {}
        for number in range(random.randint(1, 200)):
            item = f"{number:03}" if random.random() < 0.5 else f"p{number}"
            partners.append((item, random.randint(1, 5) << random.randint(10, 25), random.randint(1, 3)))
            known[item] = (random.randint(1, 4) << random.randint(14, 40), base + random.randint(-20, 20))
        quick, exact = both(found_of((5 << 30, base), partners), known, of)
        assert quick == exact
        assert quick


class TestRounding:
    @given(st.integers(0, 10**6), st.integers(0, 1000), st.sampled_from([-1, 0, 1]), st.integers(0, 1 << 62))
    def test_at_a_half_and_next_to_it(self, whole, bits, off, more):
        """A score of `whole` and a half millionths, exactly or off by so little that no float can tell."""
        shift = bits + 60
        total = (2 * 10**6 << shift, 600)
        partners = [("at", ((2 * whole + 1) << shift) + off, 1), ("near", ((2 * whole + 1) << shift) + off * more, 1)]
        found = found_of(total, partners)
        quick, exact = both(found, {"at": total, "near": total}, SimilarSettings(viewed_shrink=0))
        assert quick == exact
        millionths = {item: round(score * 1e6) for item, score, _ in quick}
        assert millionths.get("at", 0) == whole + (off >= 0)

    def test_hardly_any_score_needs_integers(self, monkeypatch):
        """Of 20,000 random ones; all of a row that a float cannot hold do."""
        asked = []

        def counted(*numbers: object) -> int:
            asked.append(numbers)
            return score_millionths(*numbers)  # type: ignore[arg-type]

        monkeypatch.setattr(ranking, "score_millionths", counted)
        random = Random(1)
        of = SimilarSettings(neighbours_max=200)
        for _ in range(100):
            partners = [(str(number), random.randint(1, 1 << 40), random.randint(1, 99)) for number in range(200)]
            known = {item: (random.randint(1 << 40, 1 << 50), random.randint(600, 603)) for item, _, _ in partners}
            quick, exact = both(found_of((1 << 45, 600), partners), known, of)
            assert quick == exact
        assert len(asked) <= 2


class TestTotals:
    def test_the_last_one_told_counts(self):
        ranked = Ranking(VIEWED_WITH, SimilarSettings(viewed_shrink=0))
        found = found_of((64, 600), [("b", 64, 2)])
        for total, score in (((64, 600), 1.0), ((256, 600), 0.5), ((64, 604), 0.25)):
            ranked.put("b", total)
            assert ranked.best(found, lambda item: None) == [("b", score, 2)]
        ranked.put("b", (0, 0))
        assert ranked.best(found, lambda item: None) == []

    def test_an_unknown_one_is_asked_for_each_time(self):
        ranked = Ranking(VIEWED_WITH, SimilarSettings(viewed_shrink=0))
        found = found_of((64, 600), [("b", 64, 2)])
        assert ranked.best(found, {}.get) == []
        assert ranked.best(found, {"b": (64, 600)}.get) == [("b", 1.0, 2)]

    def test_no_candidates_no_list(self):
        assert Ranking(VIEWED_WITH, SimilarSettings()).best(Candidates((64, 600), [], [], [], 0), {}.get) == []
