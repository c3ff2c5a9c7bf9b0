"""The learner: seeds, follows, stays, is restored; with each of the algorithms."""

from random import Random
from typing import Any, get_args

import numpy as np
import pytest
from cluster_worlds import CENTRES, DAY_MS, START_MS, fed, gathered, kind_of, likeness, settings, snapshots

from state.packing import pack, unpack
from state.population.cluster_settings import AlgorithmName
from state.population.intake import Intake
from state.population.learning import PopulationLearner

ALGORITHMS = get_args(AlgorithmName)
MOVED = ((2, 0, 1), (400, 0, 20), (60, 60, 20), (60, 8, 300))
"""CENTRES, but that the last kind views seven times as much."""
OTHERS = ((2, 0, 1), (400, 0, 20), (60, 60, 20), (500, 500, 1))


class TestLearning:
    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_clear_kinds_are_found_and_kept(self, algorithm: AlgorithmName) -> None:
        """All customers in the right clusters, under the same ids from the first version to the last."""
        used = settings(algorithm=algorithm)
        learner = PopulationLearner(used)
        for interval in range(10):
            found = snapshots(240, interval)
            learned = learner.learn(gathered(used, learner.model, found))
            assert learned is not None
            assert learned.model.number == interval + 1
            assert set(learned.model.ids) == {1, 2, 3, 4}
            assert likeness(learned.model, found) == 1.0
            assert learned.model.quality.stability == 1.0
            assert [event.kind for event in learned.events] == (["born"] * 4 if interval == 0 else [])

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    @pytest.mark.parametrize("seed", range(1, 6))
    def test_from_every_seed(self, algorithm: AlgorithmName, seed: int) -> None:
        _, learned = fed(settings(algorithm=algorithm, seed=seed), 2)
        assert likeness(learned.model, snapshots(240, 1)) == 1.0

    @pytest.mark.parametrize("seed", range(1, 21))
    def test_from_twenty_seeds_in_twenty_orders(self, seed: int) -> None:
        """No seed and no order loses one of the kinds, or finds one more."""
        used = settings(seed=seed)
        learner, random, found = PopulationLearner(used), Random(seed), snapshots(240, 0)
        for interval in range(3):
            found = snapshots(240, interval)
            learned = learner.learn(gathered(used, learner.model, random.sample(found, len(found))))
        assert learned is not None
        assert len(learned.model.clusters) == len(CENTRES)
        assert likeness(learned.model, found) == 1.0

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_a_kind_that_moves_is_followed(self, algorithm: AlgorithmName) -> None:
        """Under its id; a learner that forgets, half of it in an interval, is 99 % of the way after seven."""
        used = settings(algorithm=algorithm, half_life=1.0, recheck_every=100, gate=9.0)
        learner, before = fed(used, 2)
        for interval in range(2, 12):
            found = snapshots(240, interval, centres=MOVED)
            learned = learner.learn(gathered(used, learner.model, found))
        assert learned is not None
        assert learned.model.ids == before.model.ids
        assert likeness(learned.model, found) == 1.0
        points = np.array([learned.model.scaling.point(values) for _, _, values in found])
        truth = np.array([kind_of(int(customer_id[1:])) for customer_id, _, _ in found])
        for kind in range(4):
            centre = points[truth == kind].mean(axis=0)
            spread = points[truth == kind].std(axis=0)
            away = np.abs(np.array(learned.model.centroids) - centre).max(axis=1).min()
            assert away <= spread.max()  # within a standard deviation of one customer, after 10 half-lives

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_a_new_kind_in_place_of_an_old_one(self, algorithm: AlgorithmName) -> None:
        """By the next look at the number of clusters all are right again, and the new one has a new id."""
        used = settings(algorithm=algorithm, half_life=1.0, recheck_every=3, gate=0.8)
        learner, _ = fed(used, 3)
        found = []
        for interval in range(3, 12):
            found = snapshots(240, interval, centres=OTHERS)
            learner.learn(gathered(used, learner.model, found))
        assert learner.model is not None
        assert likeness(learner.model, found) == 1.0
        assert max(learner.model.ids) > 4

    def test_too_few_customers_make_no_model(self) -> None:
        used = settings()
        learner = PopulationLearner(used)
        assert learner.learn(gathered(used, None, snapshots(59, 0))) is None
        assert learner.learn(gathered(used, None, snapshots(60, 1))) is not None

    def test_all_alike_are_one_cluster(self) -> None:
        used = settings()
        learner = PopulationLearner(used)
        same = [(f"c{at}", START_MS, {"views_30d": 3}) for at in range(100)]
        learned = learner.learn(gathered(used, None, same))
        assert learned is not None
        assert [cluster.share for cluster in learned.model.clusters] == [1.0]
        assert learned.model.assign({"views_30d": 3}).probabilities == {1: 1.0}

    def test_garbage_does_no_harm(self) -> None:
        """Absent, infinite and enormous values lie somewhere, and the rest is found all the same."""
        used = settings()
        odd: list[Any] = [None, float("nan"), float("inf"), -float("inf"), 10**400, -(10**30)]
        found = snapshots(240, 0)
        wrong = [(f"x{at}", START_MS, {"views_30d": odd[at % 6], "orders_30d": odd[(at + 1) % 6]}) for at in range(6)]
        learner = PopulationLearner(used)
        learned = learner.learn(gathered(used, None, found + wrong))
        assert learned is not None
        assert likeness(learned.model, found) == 1.0
        assert np.isfinite(learned.model.centroids).all()

    def test_pinned_names_stay_with_the_id(self) -> None:
        _, learned = fed(settings(names={3: "bargain hunters"}), 5)
        assert learned.model.cluster(3).name == "bargain hunters"
        assert learned.model.cluster(2).name == learned.model.cluster(2).label

    def test_sizes_and_spreads_are_of_the_sample(self) -> None:
        """Counted again, one customer at a time."""
        used = settings()
        learner, learned = fed(used, 3, customers=300)
        model = learned.model
        members: dict[int, list[float]] = {}
        for _, (_, raw) in learner._sample.by_hash():
            found = model.assign_point(model.scaling.place(raw))
            members.setdefault(found.cluster_id, []).append(found.distance)
        for cluster in model.clusters:
            away = members[cluster.cluster_id]
            assert cluster.size == len(away)
            assert cluster.spread == pytest.approx((sum(one * one for one in away) / len(away)) ** 0.5)
        inertia = sum(one * one for away in members.values() for one in away)
        assert model.softness == pytest.approx(2 * inertia / (300 * 3))


class TestOtherClusters:
    def test_are_believed_when_they_are_better_twice(self) -> None:
        used = settings(recheck_every=3)
        learner, before = fed(used, 3, centres=CENTRES[:2])
        for interval, clusters in ((3, 2), (4, 4)):
            learned = learner.learn(gathered(used, learner.model, snapshots(240, interval)))
            assert learned is not None
            assert len(learned.model.clusters) == clusters
        assert len(before.model.clusters) == 2

    def test_are_let_go_when_they_are_not(self) -> None:
        """Better once, then not: the next time, it is once again."""
        used = settings(recheck_every=1)
        learner, _ = fed(used, 3, centres=CENTRES[:2])
        for interval in range(3, 9):
            learned = learner.learn(
                gathered(used, learner.model, snapshots(240, interval, CENTRES[: 2 + interval % 2 * 2]))
            )
            assert learned is not None
            assert len(learned.model.clusters) == 2

    def test_are_believed_at_once_after_an_alarm(self) -> None:
        used = settings(recheck_every=100)
        learner, _ = fed(used, 3, centres=CENTRES[:2])
        learner.look_again()
        learned = learner.learn(gathered(used, learner.model, snapshots(240, 3)))
        assert learned is not None
        assert len(learned.model.clusters) == 4

    def test_are_looked_for_as_the_sample_grows(self) -> None:
        """By half: from 100 to 150 customers; not from 100 to 149."""
        for customers, clusters in ((149, 2), (150, 4)):
            used = settings(recheck_every=100)
            learner, _ = fed(used, 1, customers=100, centres=CENTRES[:2])
            for interval in (1, 2):
                learned = learner.learn(gathered(used, learner.model, snapshots(customers, interval)))
            assert learned is not None
            assert len(learned.model.clusters) == clusters


class TestScaling:
    def test_it_follows_what_grows(self) -> None:
        """Everybody does a tenth more in each interval: nobody changes clusters, and points stay where they were."""
        used = settings(recheck_every=1_000)
        learner, first = fed(used, 1)
        for interval in range(1, 20):
            centres = tuple(tuple(round(100 * value * 1.1**interval) / 100 for value in one) for one in CENTRES)
            found = snapshots(240, interval, centres)
            learned = learner.learn(gathered(used, learner.model, found))
            assert learned is not None
            assert learned.model.quality.stability == 1.0
            assert learned.model.ids == first.model.ids
        places = np.array([learned.model.scaling.point(values) for _, _, values in found])
        assert np.abs(np.median(places, axis=0)).max() < 0.05

    def test_a_restart_with_what_version_1_left(self) -> None:
        """It did not know how large the sample was at the last look: as large as it is."""
        used = settings()
        learner, learned = fed(used, 3)
        _, *fields = unpack(learner.packed())
        old = PopulationLearner(used, pack((1, *fields[:-2])))
        assert old.model == learned.model
        assert old._looked_at == 240
        assert old.learn(gathered(used, old.model, snapshots(240, 3))) is not None


class TestDeterminism:
    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_neither_order_nor_places_matter(self, algorithm: AlgorithmName) -> None:
        """Three places that see a part each, in any order, give the bytes of one place."""
        used = settings(algorithm=algorithm)
        whole, parted = PopulationLearner(used), PopulationLearner(used)
        random = Random(5)
        for interval in range(6):
            found = snapshots(700, interval)  # more than the sample takes
            whole.learn(gathered(used, whole.model, found))
            random.shuffle(found)
            parts = [gathered(used, parted.model, found[at::3]).packed() for at in (2, 0, 1)]
            merged = Intake(used, parted.model)
            for part in parts:
                merged.merge(Intake.unpacked(used, None, part))
            parted.learn(merged)
        assert whole.packed() == parted.packed()

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_a_restart_changes_nothing(self, algorithm: AlgorithmName) -> None:
        """After every interval, in the middle of an interval, across looks at the number of clusters."""
        used = settings(algorithm=algorithm)
        steady, restarted = PopulationLearner(used), PopulationLearner(used)
        for interval in range(6):
            found = snapshots(300, interval, centres=CENTRES if interval < 3 else MOVED)
            steady.learn(gathered(used, steady.model, found))
            restarted = PopulationLearner(used, restarted.packed())
            half = gathered(used, restarted.model, found[:150])
            half = Intake.unpacked(used, restarted.model, half.packed())
            for customer_id, as_of_ms, values in found[150:]:
                half.add(customer_id, as_of_ms, values)
            restarted.learn(half)
        assert steady.packed() == restarted.packed()


class TestBounds:
    def test_the_state_does_not_grow_with_the_customers(self) -> None:
        """The sample is full with 512; names of clusters alone differ in length."""
        used = settings()
        sizes = [len(fed(used, 2, customers=customers)[0].packed()) for customers in (600, 3_000)]
        assert abs(sizes[0] - sizes[1]) <= 1_000

    def test_the_busy_do_not_outvote_the_rest(self) -> None:
        """One customer's snapshots of many intervals count once in the sample."""
        used = settings()
        learner, _ = fed(used, 1)
        for interval in range(1, 20):
            learner.learn(gathered(used, learner.model, snapshots(1, interval)))
        assert learner.model is not None
        assert learner.model.quality.sampled == 240

    def test_who_is_erased_is_gone_from_what_is_learnt(self) -> None:
        """The next version is that of a learner to whose sample the customer never came."""
        used = settings(recheck_every=1, rescale_at=0.0)
        with_them, without = PopulationLearner(used), PopulationLearner(used)
        found = snapshots(240, 0)
        with_them.learn(gathered(used, None, found))
        without.learn(gathered(used, None, found[1:]))
        with_them.forget("c0")
        for learner in (with_them, without):
            learner.learn(gathered(used, learner.model, snapshots(240, 1)[1:]))
        assert with_them._sample.packed() == without._sample.packed()
        assert with_them.model is not None
        assert without.model is not None
        assert np.allclose(sorted(with_them.model.centroids), sorted(without.model.centroids), atol=1e-9)

    def test_who_is_not_seen_for_long_leaves(self) -> None:
        used = settings(forget_ms=5 * DAY_MS)
        learner, _ = fed(used, 1, customers=300)
        for interval in range(1, 8):
            learner.learn(gathered(used, learner.model, snapshots(100, interval)))
        assert learner.model is not None
        assert learner.model.quality.sampled == 100
