"""The published methods, by hand and against plain definitions."""

from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import session_baselines as batch
from serving.evaluation.baselines import Baseline, ItemKnn, Popular, SessionKnn, VectorSessionKnn

SESSIONS = st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=6), min_size=1, max_size=12)


def learned(method: Baseline, sessions: list[list[str]]) -> Baseline:
    for number, session in enumerate(sessions):
        for at, item in enumerate(session):
            method.learn(number, item, session[:at])
    return method


class TestAgainstBatch:
    @given(SESSIONS, st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4))
    def test_learning_click_by_click_is_the_same(self, sessions: list[list[str]], so_far: list[str]) -> None:
        """As learning whole sessions, one after the other, by an implementation of its own."""
        for own, other in (
            (SessionKnn(), batch.SessionKnn(sessions)),
            (VectorSessionKnn(), batch.VectorSessionKnn(sessions)),
            (ItemKnn(), batch.ItemKnn(sessions)),
        ):
            mine = learned(own, sessions).scores(-1, so_far)
            assert dict(mine) == pytest.approx(dict(other.scores(so_far)))


class TestByHand:
    def test_item_knn(self) -> None:
        """Two of three sessions of a have b, which is in two."""
        method = learned(ItemKnn(damping=0), [["a", "b"], ["b", "a", "a"], ["a", "c"]])
        assert method.scores(9, ["a"])["b"] == pytest.approx(2 / sqrt(3 * 2))

    def test_a_session_is_no_neighbour_of_its_own(self) -> None:
        """Else it would foretell what it was asked."""
        method = learned(SessionKnn(), [["a", "b"]])
        assert method.scores(0, ["a"]) == {}
        assert set(method.scores(1, ["a"])) == {"a", "b"}

    def test_popular(self) -> None:
        """By views."""
        assert learned(Popular(), [["a", "b"], ["b"]]).scores(0, ["x"]) == {"b": 2.0, "a": 1.0}
