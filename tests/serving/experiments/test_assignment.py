"""Who gets which variant: evenly, for ever, and changed by shares no more than they force it."""

from collections import Counter
from hashlib import blake2b
from itertools import product

import pytest
from scipy.stats import binomtest, chi2_contingency, chisquare

from serving.experiments.assignment import arms, hashed
from serving.experiments.definitions import Experiment, Experiments, Factor, Variant

CUSTOMERS = [f"customer-{number}" for number in range(20_000)]
LEAST_P = 1e-4
"""Everything here is a function of the ids, so a test that passes once always does."""


def factor(name: str = "variant", **shares: int) -> Factor:
    return Factor(name, shares, dict.fromkeys(shares, Variant()))


def experiment(name: str = "x", salt: str = "", traffic: tuple[float, float] = (0.0, 1.0), group: str | None = None,
               **shares: int) -> Experiment:  # fmt: skip
    return Experiment(name, (factor(**shares),), salt=salt or name, traffic=traffic, group=group)


def assigned(*experiments: Experiment, holdout: float = 0.0) -> dict[str, dict[str, str]]:
    """Customer: experiment: variant."""
    known = Experiments(experiments, holdout, version="v")
    return {one: {arm.experiment: arm.variant for arm in arms(known, one, 0)} for one in CUSTOMERS}


def variants(one: Experiment) -> dict[str, str]:
    return {customer: got[one.name] for customer, got in assigned(one).items() if got}


class TestShares:
    @pytest.mark.parametrize("shares", [{"a": 1, "b": 1}, {"a": 90, "b": 10}, {"a": 1, "b": 2, "c": 3, "d": 94}])
    def test_are_kept(self, shares: dict[str, int]) -> None:
        counts = Counter(variants(experiment(**shares)).values())
        total = sum(shares.values())
        expected = [len(CUSTOMERS) * share / total for share in shares.values()]
        assert chisquare([counts[name] for name in shares], expected).pvalue > LEAST_P

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ({"a": 50, "b": 50}, {"a": 60, "b": 40}),
            ({"a": 50, "b": 30, "c": 20}, {"a": 50, "b": 40, "c": 20}),
            ({"a": 50, "b": 50}, {"a": 50, "b": 50, "c": 25}),
            ({"a": 1, "b": 1, "c": 1}, {"a": 1, "b": 1}),
        ],
    )
    def test_when_changed_move_nobody_but_to_who_gained(self, before: dict[str, int], after: dict[str, int]) -> None:
        """And no more customers than the shares differ by."""
        old, new = variants(experiment(**before)), variants(experiment(**after))
        share = {name: after.get(name, 0) / sum(after.values()) - before.get(name, 0) / sum(before.values())
                 for name in before | after}  # fmt: skip
        moved = Counter((old[one], new[one]) for one in CUSTOMERS if old[one] != new[one])
        assert moved
        assert all(share[source] < share[target] for source, target in moved)
        forced = sum(change for change in share.values() if change > 0)
        assert binomtest(moved.total(), len(CUSTOMERS), forced).pvalue > LEAST_P


class TestTraffic:
    def test_that_grows_takes_nobody_out_and_changes_nobody(self) -> None:
        small, large = (variants(experiment(traffic=(0.0, part), a=1, b=1)) for part in (0.1, 0.4))
        assert small.items() <= large.items()
        assert binomtest(len(small), len(CUSTOMERS), 0.1).pvalue > LEAST_P

    def test_says_nothing_about_the_variant(self) -> None:
        got = variants(experiment(traffic=(0.2, 0.5), a=1, b=1))
        assert binomtest(Counter(got.values())["a"], len(got), 0.5).pvalue > LEAST_P

    def test_groups_keep_experiments_apart(self) -> None:
        """And nobody is left out where their slices are everything."""
        one = experiment("x", group="g", traffic=(0.0, 0.5), a=1, b=1)
        other = experiment("y", group="g", traffic=(0.5, 1.0), a=1, b=1)
        assert all(len(got) == 1 for got in assigned(one, other).values())

    def test_without_a_group_they_overlap_by_chance(self) -> None:
        got = assigned(experiment("x", traffic=(0.0, 0.5), a=1, b=1), experiment("y", traffic=(0.0, 0.5), a=1, b=1))
        assert binomtest(sum(len(one) == 2 for one in got.values()), len(CUSTOMERS), 0.25).pvalue > LEAST_P


class TestIndependence:
    def test_of_two_experiments(self) -> None:
        got = assigned(experiment("x", a=1, b=1), experiment("y", a=1, b=3)).values()
        counts = Counter((one["x"], one["y"]) for one in got)
        table = [[counts[x, y] for y in "ab"] for x in "ab"]
        assert chi2_contingency(table).pvalue > LEAST_P

    def test_of_factors(self) -> None:
        """Each combination has the product of the shares."""
        one = Experiment("x", (factor("size", s=1, l=1), factor("colour", red=1, blue=2)), salt="x")
        assert one.variants == ("s+red", "s+blue", "l+red", "l+blue")
        assert (one.parts, one.shares) == ((1, 2, 1, 2), "1:2:1:2")
        counts = Counter(variants(one).values())
        expected = [len(CUSTOMERS) * part / 6 for part in one.parts]
        assert chisquare([counts[name] for name in one.variants], expected).pvalue > LEAST_P

    def test_of_the_holdout(self) -> None:
        """Who is held out is in nothing else."""
        got = assigned(experiment("x", a=1, b=1), holdout=0.1)
        held = [one for one in got.values() if one["holdout"] == "held-out"]
        assert all(one == {"holdout": "held-out"} for one in held)
        assert all(set(one) == {"holdout", "x"} for one in got.values() if one["holdout"] == "others")
        assert binomtest(len(held), len(CUSTOMERS), 0.1).pvalue > LEAST_P

    def test_another_salt_is_another_draw(self) -> None:
        old, new = variants(experiment(a=1, b=1)), variants(experiment(salt="again", a=1, b=1))
        same = sum(old[one] == new[one] for one in CUSTOMERS)
        assert binomtest(same, len(CUSTOMERS), 0.5).pvalue > LEAST_P


class TestLabels:
    def test_say_place_and_shares(self) -> None:
        known = Experiments((experiment(a=90, b=10),), 0.25, version="v")
        found = {arms(known, one, 0) for one in CUSTOMERS[:500]}
        assert {tuple(arm[:] for arm in got) for got in found} == {
            (("holdout", "held-out", 1, "2500:7500"),),
            (("holdout", "others", 2, "2500:7500"), ("x", "a", 1, "9:1")),
            (("holdout", "others", 2, "2500:7500"), ("x", "b", 2, "9:1")),
        }

    def test_nobody_is_in_what_does_not_run(self) -> None:
        one = Experiment("x", (factor(a=1, b=1),), salt="x", from_ms=10, until_ms=20)
        known = Experiments((one,), version="v")
        assert [len(arms(known, "c", now_ms)) for now_ms in (9, 10, 19, 20)] == [0, 1, 1, 0]


class TestHashes:
    def test_never_change(self) -> None:
        """Or all customers of running experiments would be dealt anew by an upgrade."""
        assert (hashed("a", "b"), hashed("", "é😀")) == (0.9990435296234165, 0.29271212818433223)

    def test_are_those_of_the_definition(self) -> None:
        """Hexadecimal digits of the digest in place of shifts."""
        for one in CUSTOMERS[:100]:
            digits = blake2b(f"salt\0{one}".encode(), digest_size=8).hexdigest()[:13]
            assert hashed("salt", one) == (int(digits, 16) + 0.5) / 16**13

    def test_are_inside_the_interval(self) -> None:
        assert all(0 < hashed(salt, one) < 1 for salt, one in product("ab", CUSTOMERS[:1000]))
