"""How good probabilities were: held to plain sums over all of them."""

from math import inf, isclose, nan
from random import Random

import pytest

from state.packing import pack, unpack
from state.population.reliability import BINS, GROUPS, LIMIT, PER_UNIT, Reliability, log_odds, logistic

Pairs = list[tuple[float, bool]]


def stream(seed: int, count: int = 1_000) -> Pairs:
    """What was said and what came true, of several shapes: even, rare, rounded, extreme."""
    random = Random(seed)
    shape = seed % 4
    made: Pairs = []
    for _ in range(count):
        said = random.random() ** (1, 4, 1, 9)[shape]
        said = round(said, 1) if shape == 2 else said
        made.append((said, random.random() < said * (0.5 if seed % 3 else 1.0)))
    return made


def seen_of(pairs: Pairs) -> Reliability:
    seen = Reliability()
    for said, came in pairs:
        seen.add(said, came)
    return seen


def plain_auc(pairs: Pairs) -> float:
    up = [said for said, came in pairs if came]
    down = [said for said, came in pairs if not came]
    return sum((a > b) + (a == b) / 2 for a in up for b in down) / (len(up) * len(down))


def plain_ece(pairs: Pairs) -> float:
    """Groups cut by hand: whole bins in order, closed as soon as they hold a GROUPS-th."""
    bins: dict[int, Pairs] = {}
    for said, came in pairs:
        bins.setdefault(min(BINS - 1, max(0, int((log_odds(said) + LIMIT) * PER_UNIT))), []).append((said, came))
    groups: list[Pairs] = [[]]
    for _, inside in sorted(bins.items()):
        if len(groups[-1]) * GROUPS >= len(pairs):
            groups.append([])
        groups[-1] += inside
    return sum(abs(sum(said - came for said, came in group)) for group in groups) / len(pairs)


class TestQuality:
    @pytest.mark.parametrize("seed", range(12))
    def test_the_figures(self, seed: int) -> None:
        pairs = stream(seed)
        quality = seen_of(pairs).quality()
        assert quality is not None
        exact = plain_auc(pairs)
        assert abs(quality.auc - exact) <= quality.auc_error
        assert quality.auc_error < (0.05 if seed % 4 == 2 else 0.02)
        assert isclose(quality.ece, plain_ece(pairs), abs_tol=1e-12)
        assert isclose(quality.brier, sum((said - came) ** 2 for said, came in pairs) / len(pairs))
        assert quality.base_rate == sum(came for _, came in pairs) / len(pairs)
        assert quality.examples == len(pairs)

    def test_the_error_of_the_auc_is_not_larger_than_it_must_be(self) -> None:
        """All in one bin: nothing is known about their order."""
        for pairs in ([(0.500, False), (0.501, True)], [(0.501, False), (0.500, True)]):
            quality = seen_of(pairs).quality()
            assert quality is not None
            assert abs(quality.auc - plain_auc(pairs)) == quality.auc_error == 0.5

    def test_nothing_and_one_class(self) -> None:
        assert Reliability().quality() is None
        quality = seen_of([(0.2, False), (0.9, False)]).quality()
        assert quality is not None
        assert (quality.auc, quality.auc_error, quality.base_rate) == (0.5, 0.5, 0.0)

    def test_groups_are_even(self) -> None:
        """None but the last holds less than its share, and together they hold all."""
        pairs = stream(4)
        groups = seen_of(pairs).groups()
        assert 2 < len(groups) <= GROUPS
        assert all(weight >= len(pairs) / GROUPS for _, _, weight in groups[:-1])
        assert sum(weight for _, _, weight in groups) == len(pairs)
        assert [said for said, _, _ in groups] == sorted(said for said, _, _ in groups)

    @pytest.mark.parametrize("value", [-0.1, 1.1, nan, inf])
    def test_what_is_no_probability_is_refused(self, value: float) -> None:
        with pytest.raises(ValueError, match="no probability"):
            Reliability().add(value, True)

    def test_the_ends_are_taken(self) -> None:
        quality = seen_of([(0.0, False), (1.0, True)]).quality()
        assert quality is not None
        assert (quality.auc, quality.ece, quality.brier) == (1.0, 0.0, 0.0)


class TestHistogram:
    def test_merged_ones_are_one(self) -> None:
        pairs = stream(1)
        one, two, all_of_them = seen_of(pairs[:700]), seen_of(pairs[700:]), seen_of(pairs)
        one.merge(two)
        assert (one.positives, one.negatives) == (all_of_them.positives, all_of_them.negatives)
        assert one.said == pytest.approx(all_of_them.said)
        assert one.squares == pytest.approx(all_of_them.squares)

    def test_what_has_faded_counts_less(self) -> None:
        """As if it had been seen half as often."""
        good, bad = [(0.9, True), (0.1, False)], [(0.9, False), (0.1, True)]
        seen = seen_of(good * 200)
        seen.fade(0.5)
        for said, came in bad * 100:
            seen.add(said, came)
        assert seen.quality() == pytest.approx(seen_of(good * 100 + bad * 100).quality())
        assert seen.quality() == pytest.approx((400, 0.5, 0.5, 0.25, 0.4, 0.41))

    def test_packing(self) -> None:
        seen = seen_of(stream(1))
        seen.fade(0.3)
        again = Reliability.unpacked(unpack(pack(seen.packed())))
        assert again.quality() == seen.quality()
        assert pack(again.packed()) == pack(seen.packed())


class TestLogistic:
    @pytest.mark.parametrize("odds", [-700.0, -20.0, -1.0, 0.0, 3.0, 700.0, 1e308])
    def test_it_never_overflows(self, odds: float) -> None:
        assert 0.0 <= logistic(odds) <= 1.0
        if abs(odds) < 25:
            assert log_odds(logistic(odds)) == pytest.approx(odds, rel=1e-3)
