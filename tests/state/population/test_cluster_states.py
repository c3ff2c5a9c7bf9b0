"""States of the learner: versions, other axes, other algorithms; the algorithms one by one."""

from random import Random
from typing import Any, get_args

import msgspec
import numpy as np
import pytest
from cluster_worlds import AXES, fed, gathered, settings, snapshots

from state.packing import pack, unpack
from state.population.algorithms import Interval, Mixture, seeded
from state.population.cluster_settings import AlgorithmName
from state.population.intake import Intake
from state.population.learning import PopulationLearner
from state.population.partial import Partial
from state.population.refusal import ClusterStateError
from state.population.seeding import nearest

ALGORITHMS = get_args(AlgorithmName)


class TestStates:
    def test_newer_ones_are_refused(self) -> None:
        learner, _ = fed(settings(), 1)
        newer = pack((99, *unpack(learner.packed())[1:]))
        with pytest.raises(ClusterStateError, match="version 99"):
            PopulationLearner(settings(), newer)
        with pytest.raises(ClusterStateError, match="version 99"):
            Intake.unpacked(settings(), None, pack((99, 0, 0, b"", None)))

    def test_other_axes_begin_anew_but_no_id_comes_twice(self) -> None:
        learner, _ = fed(settings(), 2)
        scaling = msgspec.structs.replace(settings().scaling, axes=AXES[:2])
        used = settings(scaling=scaling)
        other = PopulationLearner(used, learner.packed())
        assert other.model is None
        learned = other.learn(gathered(used, None, snapshots(240, 3)))
        assert learned is not None
        assert learned.model.number == 3
        assert min(learned.model.ids) == 5

    @pytest.mark.parametrize("algorithm", ALGORITHMS[1:])
    def test_another_algorithm_goes_on_from_the_model(self, algorithm: AlgorithmName) -> None:
        learner, before = fed(settings(), 2)
        used = settings(algorithm=algorithm)
        other = PopulationLearner(used, learner.packed())
        learned = other.learn(gathered(used, other.model, snapshots(240, 3)))
        assert learned is not None
        assert learned.model.ids == before.model.ids

    @pytest.mark.parametrize(
        "changes",
        [
            {"k_min": 0}, {"k_min": 7}, {"k_max": 33}, {"sample_size": 2}, {"seed_at": 600}, {"stay": 0.9},
            {"half_life": 0.0}, {"k_margin": float("nan")}, {"least_share": 0.6}, {"names": {1: ""}}, {"seed": -1},
        ],
    )  # fmt: skip
    def test_settings_out_of_range_are_refused(self, changes: dict[str, Any]) -> None:
        (name,) = changes
        with pytest.raises(ValueError, match="name" if name == "names" else name):
            settings(**changes)


class TestAlgorithms:
    @pytest.mark.parametrize("summed", [True, False])
    def test_minibatch_with_nothing_forgotten_is_the_mean_of_everything(self, summed: bool) -> None:
        """Sculley's update, batch by batch, held to the mean of all points that came to a centroid.

        In a job nobody knows the model where snapshots are gathered: there are no sums, but those of the sample.
        """
        random = Random(2)
        seeds = np.array([[0.0, 0.0], [8.0, 8.0]])
        start = np.array([[0.1, 0.0], [8.0, 7.9], [0.0, 0.1], [8.1, 8.0]])
        algorithm = seeded("minibatch", nearest(start, seeds), start, half_life=1e15)
        came: dict[int, list[list[float]]] = {0: [[0.0, 0.0]] * 2, 1: [[8.0, 8.0]] * 2}
        for _ in range(5):
            partial = Partial(1, 2, 2)
            centroids = [tuple(row) for row in algorithm.centroids.tolist()]
            batch = []
            for _ in range(20):
                at = random.randrange(2)
                point = (round(8 * at + random.gauss(0, 1), 3), round(8 * at + random.gauss(0, 1), 3))
                partial.add(point, centroids)
                batch.append(point)
                came[at].append(list(point))
            none, points = start[:0], np.array(batch)
            algorithm.step(Interval(partial, none, start) if summed else Interval(None, points, start))
        for at, mine in came.items():
            # each coordinate is off by half a grain at most
            assert np.abs(algorithm.centroids[at] - np.mean(mine, axis=0)).max() <= 0.5 / (1 << 16) + 1e-9

    def test_the_mixture_has_the_probabilities_of_its_densities(self) -> None:
        """Two components of different width, by the formula of the normal density."""
        points = np.array([[0.0], [2.0], [10.0], [10.4], [9.6]])
        mixture = seeded("mixture", nearest(points, np.array([[1.0], [10.0]])), points, half_life=2.0)
        assert isinstance(mixture, Mixture)
        shares, means, variances = (0.4, 0.6), (1.0, 10.0), (1.0, 0.32 / 3)
        for place in (0.5, 5.0, 8.0, 9.5):
            densities = [
                share / np.sqrt(variance) * np.exp(-((place - mean) ** 2) / (2 * variance))
                for share, mean, variance in zip(shares, means, variances, strict=True)
            ]
            expected = np.array(densities) / sum(densities)
            assert np.allclose(mixture.responsibilities(np.array([[place]]))[0], expected, atol=1e-9)

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_an_interval_without_anybody(self, algorithm: AlgorithmName) -> None:
        """Only the passing of time; no centroid moves."""
        used = settings(algorithm=algorithm)
        learner, before = fed(used, 2)
        learned = learner.learn(Intake(used, learner.model))
        assert learned is not None
        assert np.allclose(learned.model.centroids, before.model.centroids, atol=1e-9)
