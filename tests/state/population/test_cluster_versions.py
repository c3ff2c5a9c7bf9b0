"""From one version to the next: other scalings, other rows, learners that forget."""

import numpy as np
import pytest
from cluster_worlds import AXES, CENTRES, cloud, gathered, settings, snapshots

from state.population.algorithms import Interval, seeded
from state.population.learning import PopulationLearner
from state.population.partial import Partial
from state.population.scaling import Scaling, fit_scaling
from state.population.scaling_settings import ScalingSettings
from state.population.seeding import nearest
from state.population.version import make_version


class TestVersions:
    def test_another_scaling_changes_no_id(self) -> None:
        """Centroids of the version before are carried over before they are matched."""
        raws, _ = cloud([[0.0, 0, 0], [5.0, 0, 0], [0, 5.0, 0]], 30, 0.3)
        one = Scaling(AXES, (1.0, 1.0, 1.0), (1.0, 1.0, 1.0), (50.0,) * 3)
        two = Scaling(AXES, (6.0, 1.0, 1.0), (0.5, 2.0, 1.0), (50.0,) * 3)
        used = settings(gate=0.01)
        centroids = np.array([[-1.0, -1, -1], [4.0, -1, -1], [-1.0, 4, -1]])
        first = make_version(used, raws, one, centroids, None, number=1, next_id=1, as_of_ms=0)
        carried = two.places(one.raws(centroids))[[2, 0, 1]]
        second = make_version(used, raws, two, carried, first.model, number=2, next_id=first.next_id, as_of_ms=0)
        assert second.model.ids == (3, 1, 2)
        assert second.events == []
        assert second.model.quality.stability == 1.0

    def test_sums_by_centroids_that_are_no_more_are_let_go(self) -> None:
        """They are of other rows; the snapshots in the sample count all the same."""
        used = settings(algorithm="minibatch", recheck_every=1, least_size=5)
        learners = [PopulationLearner(used), PopulationLearner(used)]
        for learner in learners:
            learner.learn(gathered(used, None, snapshots(240, 0, centres=CENTRES[:2])))
            stale = learner.model
            for interval in (1, 2):  # what is better twice is believed
                learner.learn(gathered(used, stale, snapshots(240, interval)))
            assert learner.model is not None
            assert stale is not None
            assert len(learner.model.clusters) > len(stale.clusters)
            intake = gathered(used, stale, snapshots(240, 3))
            if learner is learners[1]:
                intake.partial = None
            learner.learn(intake)
        assert learners[0].packed() == learners[1].packed()

    def test_components_have_one_sign(self) -> None:
        """Of each the largest entry is positive, so that equal data give equal components."""
        raws = np.random.default_rng(4).normal(size=(300, 3)) @ np.array([[3.0, -2, 1], [0, 1, -1], [0.5, 0, -2]])
        turned = fit_scaling(ScalingSettings(axes=AXES, turn_above=0, turn_share=1.0), raws).turned
        assert turned is not None
        assert all(max(row, key=abs) > 0 for row in turned)
        flipped = fit_scaling(ScalingSettings(axes=AXES, turn_above=0, turn_share=1.0), -raws).turned
        assert np.allclose(np.array(turned), np.array(flipped), atol=1e-9)


class TestForgetting:
    @pytest.mark.parametrize("half_life", [0.5, 1.0, 3.0])
    def test_what_a_minibatch_learner_has_seen_counts_half_after_its_half_life(self, half_life: float) -> None:
        """Four points at 0 before, three at 6 now: the mean with the four at what is left of them."""
        points = np.zeros((4, 1))
        algorithm = seeded("minibatch", nearest(points, np.array([[0.0]])), points, half_life)
        partial = Partial(1, 1, 1)
        for _ in range(3):
            partial.add((6.0,), [(0.0,)])
        algorithm.step(Interval(partial, points[:0], points))
        left = 4 * 0.5 ** (1 / half_life)
        assert algorithm.centroids[0, 0] == pytest.approx(18 / (left + 3))
