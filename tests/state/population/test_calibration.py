"""Calibration: what was put in is found again, and curves are held to a definition by brute force."""

from collections.abc import Callable
from random import Random

import pytest

from state.packing import pack, unpack
from state.population import calibration
from state.population.calibration import FITS, Beta, Curve, Line, fit_beta, fit_curve, fit_line
from state.population.reliability import BINS, LIMIT, PER_UNIT, Reliability, logistic


def expected(truth: Callable[[float], float], weight: float = 1e5) -> Reliability:
    """A histogram without noise: in the middle of every bin, exactly the share that comes true."""
    seen = Reliability()
    for at in range(BINS):
        odds = (at + 0.5) / PER_UNIT - LIMIT
        came = truth(odds)
        seen.positives[at], seen.negatives[at] = weight * came, weight * (1 - came)
        seen.said[at] = weight * logistic(odds)
    return seen


def noisy(seed: int, count: int) -> Reliability:
    random = Random(seed)
    seen = Reliability()
    for _ in range(count):
        said = logistic(random.gauss(-1, 2))
        seen.add(said, random.random() < said**1.5)
    return seen


class TestFits:
    @pytest.mark.parametrize("truth", [Line(1.0, 0.0), Line(0.4, -1.2), Line(2.0, 0.5)])
    def test_a_line_is_found_again(self, truth: Line) -> None:
        assert fit_line(expected(truth.calibrated)) == pytest.approx(truth, abs=1e-3)

    @pytest.mark.parametrize("truth", [Beta(1.0, 1.0, 0.0), Beta(0.5, 1.5, -0.4)])
    def test_a_beta_is_found_again(self, truth: Beta) -> None:
        assert fit_beta(expected(truth.calibrated)) == pytest.approx(truth, abs=1e-3)

    def test_a_curve_is_found_again(self) -> None:
        """Any ascending one, at every bin."""

        def truth(odds: float) -> float:
            return 0.1 if odds < -2 else 0.15 + 0.05 * (odds + 2) if odds < 4 else 0.9

        curve = fit_curve(expected(truth))
        middles = [(at + 0.5) / PER_UNIT - LIMIT for at in range(BINS)]
        flat = [x for x in middles if -1.9 < x < 3.9]
        assert [curve.calibrated(x) for x in flat] == pytest.approx([truth(x) for x in flat], abs=1e-9)
        assert (curve.calibrated(-50), curve.calibrated(50)) == pytest.approx((0.1, 0.9))

    @pytest.mark.parametrize("name", sorted(FITS))
    def test_what_is_said_rises(self, name: str) -> None:
        """Calibration never turns an order round, not even of a model that says the opposite."""
        for seed in range(5):
            seen = noisy(seed, 300)
            if seed == 4:
                seen.positives, seen.negatives = seen.negatives, seen.positives
            made = FITS[name](seen)
            found = [made.calibrated(x / 10) for x in range(-120, 120)]
            assert found == sorted(found)
            assert all(0 <= p <= 1 for p in found)

    @pytest.mark.parametrize("fit", [fit_line, fit_beta])
    def test_few_examples_change_little(self, fit: Callable[[Reliability], Line | Beta]) -> None:
        """Nothing seen: nothing changed. One example moves log odds by less than 1 / PRIOR at odds of 0."""
        assert fit(Reliability()).calibrated(0.7) == pytest.approx(logistic(0.7))
        seen = Reliability()
        seen.add(0.5, True)
        assert 0.5 < fit(seen).calibrated(0.0) < logistic(1 / calibration.PRIOR)

    def test_a_curve_of_nothing(self) -> None:
        assert fit_curve(Reliability()).calibrated(3.0) == 0.5

    @pytest.mark.parametrize("seed", range(10))
    def test_a_curve_against_its_definition(self, seed: int) -> None:
        """Isotonic regression is max over i <= k of min over j >= k of the share from i to j (Barlow, 1972)."""
        seen = noisy(seed, 60)
        rows = [(up, up + down) for up, down in zip(seen.positives, seen.negatives, strict=True) if up + down]
        best = [
            max(
                min(
                    sum(up for up, _ in rows[i : j + 1]) / sum(n for _, n in rows[i : j + 1])
                    for j in range(k, len(rows))
                )
                for i in range(k + 1)
            )
            for k in range(len(rows))
        ]
        curve = fit_curve(seen)
        assert list(curve.probabilities) == pytest.approx(sorted(set(best)), abs=1e-9)

    def test_extreme_histograms(self) -> None:
        """All in one bin, all of one kind, all at the ends."""
        for pairs in ([(0.5, True)] * 9, [(0.0, True)] * 999, [(0.0, False), (1.0, True)] * 500, [(1.0, False)] * 500):
            seen = Reliability()
            for said, came in pairs:
                seen.add(said, came)
            for fit in FITS.values():
                assert all(0.0 <= fit(seen).calibrated(x) <= 1.0 for x in (-30.0, 0.0, 30.0))


class TestPacking:
    @pytest.mark.parametrize("one", [Line(0.5, 1.0), Beta(0.5, 1.5, 2.0), Curve((0.0, 1.0), (0.25, 0.5))])
    def test_each_kind(self, one: Line | Beta | Curve) -> None:
        again = calibration.unpacked(unpack(pack(calibration.packed(one))))
        assert again == one
        assert type(again) is type(one)
