"""Shares of traffic: the Bayes factor by its definition, laws, and how often it is wrong and how soon it is right."""

from fractions import Fraction
from math import inf, log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import dirichlet_multinomial, multinomial

from state.experiments.sample_ratio import SampleRatioSettings, Shared, sample_ratio

SETTINGS = SampleRatioSettings()
MANY = settings(max_examples=100, deadline=None)
NAMES = ("control", "x", "y")

strata = st.lists(
    st.builds(
        lambda shares, counts: Shared(dict(zip(NAMES, shares, strict=True)), dict(zip(NAMES, counts, strict=True))),
        st.tuples(*[st.integers(1, 20)] * 3),
        st.tuples(*[st.integers(0, 60)] * 3),
    ),
    min_size=1,
    max_size=3,
)


def one_by_one(known: Shared, concentration: int) -> Fraction:
    """What the next customer's variant was thought to be by the shares seen so far, over what its share is; exact."""
    whole = sum(known.shares.values())
    seen = dict.fromkeys(NAMES, 0)
    factor = Fraction(1)
    for name in NAMES:
        share = Fraction(known.shares[name], whole)
        for _ in range(known.customers[name]):
            thought = (concentration * share + seen[name]) / (concentration + sum(seen.values()))
            factor *= thought / share
            seen[name] += 1
    return factor


class TestDefinition:
    @MANY
    @given(strata, st.sampled_from([1, 30, 1_000]))
    def test_one_customer_after_another(self, known: list[Shared], concentration: int) -> None:
        expected = sum(log(one_by_one(stratum, concentration)) for stratum in known)
        found = sample_ratio(known, SampleRatioSettings(concentration=concentration))
        assert found.log_bayes_factor == pytest.approx(expected, rel=1e-8, abs=1e-8)
        assert found.p_value == pytest.approx(min(1.0, np.exp(-expected)), rel=1e-6)

    def test_as_scipy_has_it(self) -> None:
        counts, shares = [50_321, 24_702, 25_600], [0.5, 0.25, 0.25]
        expected = dirichlet_multinomial.logpmf(counts, np.array(shares) * 1_000, sum(counts)) - multinomial.logpmf(
            counts, sum(counts), shares
        )
        found = sample_ratio([shared(shares, counts)], SETTINGS)
        assert found.log_bayes_factor == pytest.approx(expected, rel=1e-6)

    def test_the_farthest_variant(self) -> None:
        """y has 800 of 1,000 expected ones: 7.5 standard errors; x has 3.5 in the other direction."""
        found = sample_ratio([shared([0.5, 0.4, 0.1], [5_000, 4_200, 800])], SETTINGS)
        assert (found.verdict, found.variant, found.observed, found.expected) == ("mismatch", "y", 800, 1_000)

    def test_over_two_times(self) -> None:
        found = sample_ratio([shared([1, 1], [600, 400]), shared([9, 1], [900, 100])], SETTINGS)
        assert (found.variant, found.observed, found.expected) == ("control", 1_500, 1_400)
        assert found.customers == 2_000


def shared(shares: list[float], counts: list[int]) -> Shared:
    return Shared(dict(zip(NAMES, shares, strict=False)), dict(zip(NAMES, counts, strict=False)))


class TestLaws:
    @MANY
    @given(strata, st.permutations(NAMES))
    def test_names_do_not_matter(self, known: list[Shared], names: list[str]) -> None:
        new = dict(zip(NAMES, names, strict=True))
        renamed = [Shared(*({new[name]: value for name, value in part.items()} for part in one)) for one in known]
        one, other = sample_ratio(known, SETTINGS), sample_ratio(renamed, SETTINGS)
        assert other.log_bayes_factor == pytest.approx(one.log_bayes_factor, abs=1e-9)
        assert (other.verdict, other.customers) == (one.verdict, one.customers)

    @MANY
    @given(strata, strata)
    def test_times_multiply(self, one: list[Shared], other: list[Shared]) -> None:
        both, *parts = (sample_ratio(known, SETTINGS).log_bayes_factor for known in (one + other, one, other))
        assert both == pytest.approx(sum(parts), abs=1e-9)

    @MANY
    @given(strata)
    def test_shares_are_of_their_sum(self, known: list[Shared]) -> None:
        halved = [Shared({name: share / 64 for name, share in one.shares.items()}, one.customers) for one in known]
        assert sample_ratio(halved, SETTINGS).p_value == pytest.approx(sample_ratio(known, SETTINGS).p_value)

    def test_exactly_as_promised_is_no_evidence(self) -> None:
        found = sample_ratio([shared([0.9, 0.1], [90_000, 10_000])], SETTINGS)
        assert (found.verdict, found.p_value, found.variant) == ("as expected", 1.0, None)


class TestEdges:
    def test_nobody(self) -> None:
        for known in ([], [shared([1, 1], [0, 0])], [Shared({"control": 1.0}, {})]):
            found = sample_ratio(known, SETTINGS)
            assert (found.verdict, found.p_value, found.variant, found.customers) == ("nobody yet", 1.0, None, 0)

    def test_somebody_where_nobody_should_be(self) -> None:
        """Of a share of 0, or of a variant that is not known."""
        for known in (shared([1, 0], [1_000, 1]), Shared({"control": 1}, {"control": 1_000, "x": 1})):
            found = sample_ratio([known], SETTINGS)
            assert (found.verdict, found.p_value, found.log_bayes_factor) == ("mismatch", 0.0, inf)
            assert (found.variant, found.observed, found.expected) == ("x", 1, 0.0)

    def test_nor_at_another_time(self) -> None:
        known = [shared([1, 1], [510, 490]), shared([1, 0], [1_000, 1])]
        assert sample_ratio(known, SETTINGS).variant == sample_ratio(known[::-1], SETTINGS).variant == "x"

    def test_a_share_of_0_without_customers_is_fine(self) -> None:
        assert sample_ratio([shared([1, 0], [1_000, 0])], SETTINGS).verdict == "as expected"

    def test_a_billion_customers(self) -> None:
        """As promised, and a thousandth off."""
        assert sample_ratio([shared([1, 1], [5 * 10**8] * 2)], SETTINGS).p_value == 1.0
        assert sample_ratio([shared([1, 1], [501 * 10**6, 499 * 10**6])], SETTINGS).verdict == "mismatch"

    @pytest.mark.parametrize(
        ("shares", "counts"), [([], []), ([0, 0], [1, 1]), ([1, -1], [1, 1]), ([inf, 1], [1, 1]), ([1, 1], [1, -1])]
    )
    def test_what_means_nothing_is_refused(self, shares: list[float], counts: list[int]) -> None:
        with pytest.raises(ValueError, match="must be at least 0"):
            sample_ratio([shared(shares, counts)], SETTINGS)

    @pytest.mark.parametrize(("name", "value"), [("threshold", 0.0), ("threshold", 1.0), ("concentration", 0.0)])
    def test_settings_that_mean_nothing_are_refused(self, name: str, value: float) -> None:
        with pytest.raises(ValueError, match=name):
            SampleRatioSettings(**{name: value})


class TestPromise:
    """300 experiments, 5,000 customers each, looked at after every 50, with a threshold of 5 % so that there are some.

    A chance of 5 % would make 15 false alarms, standard deviation 3.8; more than 30 would come up once in 10,000.
    """

    EXPERIMENTS, MOST = 300, 30
    SETTINGS = SampleRatioSettings(threshold=0.05, concentration=200.0)

    def alarms(self, share: float) -> tuple[int, int]:
        """Experiments with an alarm ever, ours and an ordinary test's, where 30 % are promised."""
        rng = np.random.default_rng(30)
        ours = ordinary = 0
        for _ in range(self.EXPERIMENTS):
            counts = np.cumsum(rng.binomial(50, share, 100))
            looks = [(50 * number, int(count)) for number, count in enumerate(counts, 1)]
            ours += any(
                sample_ratio([shared([0.7, 0.3], [all_ - x, x])], self.SETTINGS).verdict == "mismatch"
                for all_, x in looks
            )
            ordinary += any(abs(x - 0.3 * all_) > 1.96 * sqrt(0.21 * all_) for all_, x in looks)
        return ours, ordinary

    def test_false_alarms(self) -> None:
        ours, ordinary = self.alarms(0.3)
        assert 0 < ours <= self.MOST < 80 < ordinary

    def test_a_mismatch_is_found(self) -> None:
        """A tenth of the variant's customers are lost: 27.8 % instead of 30 %, 3.4 standard errors at the end."""
        ours, _ = self.alarms(0.27 / 0.97)
        assert ours > 200
