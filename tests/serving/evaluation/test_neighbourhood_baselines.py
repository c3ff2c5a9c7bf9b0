"""The published methods, by hand and against plain definitions."""

from math import sqrt

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from benchmarks import session_baselines as batch
from serving.evaluation.baselines import Baseline, ItemKnn, Popular, SessionKnn
from serving.evaluation.session_options import S_KNN, KnnOptions
from tests.oracle import next_item as oracle

SESSIONS = st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=6), min_size=1, max_size=12)
SO_FAR = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=14)
DECAYS = st.sampled_from(["same", "div", "linear", "log", "quadratic"])
OPTIONS = st.builds(
    KnnOptions, k=st.integers(1, 6), sample=st.integers(1, 8), similarity=st.sampled_from(["vec", "cosine"]),
    weighting=DECAYS, weighting_score=DECAYS, idf=st.sampled_from([0.0, 1.0, 5.0]),
)  # fmt: skip


def learned(method: Baseline, sessions: list[list[str]]) -> Baseline:
    for number, session in enumerate(sessions):
        for at, item in enumerate(session):
            method.learn(number, item, session[:at])
    return method


class TestAgainstDefinitions:
    """Learning click by click is the same as looking at all whole sessions (tests/oracle/next_item.py)."""

    @given(SESSIONS, SO_FAR, OPTIONS)
    def test_session_knn(self, sessions: list[list[str]], so_far: list[str], options: KnnOptions) -> None:
        """With any options."""
        looked_at = oracle.neighbours(sessions, so_far, options.sample, options.similarity, options.weighting)
        border = [alike for alike, _ in looked_at[options.k - 1 : options.k + 1]]
        assume(len(border) < 2 or border[0] == 0 or border[0] - border[1] > 1e-9)  # else rounding may choose another
        expected = oracle.session_knn(
            sessions, so_far, options.k, options.sample, options.similarity, options.weighting,
            options.weighting_score, options.idf,
        )  # fmt: skip
        assert dict(learned(SessionKnn(options), sessions).scores(-1, so_far)) == pytest.approx(expected)

    @given(SESSIONS, SO_FAR)
    def test_as_they_are_asked(self, sessions: list[list[str]], so_far: list[str]) -> None:
        """S-KNN is the plain one: the cosine of sets, and nothing else."""
        expected: dict[str, float] = {}
        for session in map(set, sessions):
            shared = len(session & set(so_far))
            for item in session if shared else ():
                alike = shared / sqrt(len(session) * len(set(so_far)))
                expected[item] = expected.get(item, 0) + alike
        assert dict(learned(SessionKnn(S_KNN), sessions).scores(-1, so_far)) == pytest.approx(expected)

    @given(SESSIONS, SO_FAR, st.integers(0, 30))
    def test_item_knn(self, sessions: list[list[str]], so_far: list[str], damping: int) -> None:
        """With any damping; of sessions learned beforehand, too."""
        expected = oracle.item_knn(sessions, so_far[-1], damping)
        assert learned(ItemKnn(damping), sessions).scores(-1, so_far) == pytest.approx(expected)
        assert batch.ItemKnn(sessions, damping).scores(so_far) == pytest.approx(expected)


class TestByHand:
    def test_item_knn(self) -> None:
        """Two of three sessions of a have b, which is in two."""
        method = learned(ItemKnn(damping=0), [["a", "b"], ["b", "a", "a"], ["a", "c"]])
        assert method.scores(9, ["a"])["b"] == pytest.approx(2 / sqrt(3 * 2))

    def test_a_session_is_no_neighbour_of_its_own(self) -> None:
        """Else it would foretell what it was asked."""
        method = learned(SessionKnn(S_KNN), [["a", "b"]])
        assert method.scores(0, ["a"]) == {}
        assert set(method.scores(1, ["a"])) == {"a", "b"}

    def test_popular(self) -> None:
        """By views."""
        assert learned(Popular(), [["a", "b"], ["b"]]).scores(0, ["x"]) == {"b": 2.0, "a": 1.0}
