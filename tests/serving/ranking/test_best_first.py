"""Sorted as far as somebody looks, and as if all were."""

from hypothesis import given
from hypothesis import strategies as st

from serving.ranking.best_first import BestFirst

SCORES = st.dictionaries(st.text("ab", max_size=4), st.sampled_from((-1.0, 0.0, 0.25, 0.5, 0.75, 1.0)))


class TestBestFirst:
    @given(scores=SCORES, first=st.integers(0, 9), cuts=st.lists(st.integers(0, 9), max_size=5))
    def test_any_parts_are_those_of_all(self, scores: dict[str, float], first: int, cuts: list[int]) -> None:
        """However many were sorted at first; names with equal scores stand across the end of the first ones, too."""
        ranked = BestFirst(scores, first)
        everything = sorted((name for name in scores if scores[name] > 0), key=lambda name: (-scores[name], name))
        for cut in cuts:
            assert ranked.part(cut, cut + 3) == everything[cut : cut + 3]
        assert ranked.part(0, len(scores)) == everything
