"""Centroids from data, the number of clusters, broad kinds."""

from itertools import product
from random import Random

import numpy as np
import pytest
from cluster_worlds import cloud, settings

from state.population.choosing import Choice, choose, reconsider
from state.population.nesting import broad_kinds
from state.population.quality import adjusted_rand
from state.population.seeding import Fit, fit_kmeans, lloyd, nearest, seeds, without_small

BLOBS = [[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0], [5.0, 20.0]]


class TestSeeds:
    def test_far_blobs_are_found_from_every_seed(self) -> None:
        """Where starting from noise loses blobs: each has one centroid within its standard error of 5 deviations."""
        points, labels = cloud(BLOBS, 60, 0.3)
        for seed in range(20):
            fit = fit_kmeans(points, len(BLOBS), seed)
            assert adjusted_rand(labels, fit.labels) == 1.0
            away = np.sqrt(((fit.centroids[:, None] - np.array(BLOBS)[None]) ** 2).sum(axis=2)).min(axis=0)
            assert away.max() <= 5 * 0.3 * (2 / 60) ** 0.5

    def test_they_are_distinct_points_of_the_data(self) -> None:
        """As many as there are, if that is fewer."""
        points = np.array([[0.0], [1.0], [1.0], [5.0]])
        found = seeds(points, 4, Random(1))
        assert sorted(found[:, 0].tolist()) == [0.0, 1.0, 5.0]

    def test_equal_seeds_give_equal_bytes(self) -> None:
        points, _ = cloud(BLOBS, 30, 2.0)
        assert fit_kmeans(points, 4, 3).centroids.tobytes() == fit_kmeans(points, 4, 3).centroids.tobytes()


class TestLloyd:
    @pytest.mark.parametrize("seed", range(6))
    def test_the_best_of_all_partitions(self, seed: int) -> None:
        """Of nine points in two clusters, held to all 256 of them."""
        random = Random(seed)
        points = np.array([[random.gauss(0, 1), random.gauss(0, 1)] for _ in range(9)])

        def cost(labels: tuple[int, ...]) -> float:
            kinds = np.array(labels)
            return sum(
                float(((points[kinds == kind] - points[kinds == kind].mean(axis=0)) ** 2).sum()) for kind in set(labels)
            )

        best = min(cost((0, *rest)) for rest in product((0, 1), repeat=8))
        assert fit_kmeans(points, 2, 1, restarts=12).inertia == pytest.approx(best)

    def test_every_centroid_is_the_mean_of_its_points(self) -> None:
        points, _ = cloud(BLOBS, 40, 3.0)
        fit = lloyd(points, points[:5])
        for at, centroid in enumerate(fit.centroids):
            assert np.allclose(points[fit.labels == at].mean(axis=0), centroid, atol=1e-12)

    def test_a_centroid_without_points_goes_to_the_farthest_one(self) -> None:
        points = np.array([[0.0], [0.1], [0.2], [9.0]])
        fit = lloyd(points, np.array([[0.1], [50.0]]))
        assert fit.labels.tolist() == [0, 0, 0, 1]

    def test_small_clusters_give_their_points_away(self) -> None:
        points = np.array([[0.0]] * 10 + [[1.0]] * 10 + [[9.0]])
        fit = without_small(points, nearest(points, np.array([[0.0], [1.0], [9.0]])), 2)
        assert sorted(fit.sizes.tolist()) == [10, 11]


class TestChoice:
    @pytest.mark.parametrize("k", [2, 3, 5])
    def test_as_many_clusters_as_there_are(self, k: int) -> None:
        points, labels = cloud(BLOBS[:k], 60, 0.5)
        choice = choose(settings(), points)
        assert adjusted_rand(labels, choice.fit.labels) == 1.0

    def test_a_handful_of_outliers_is_no_cluster(self) -> None:
        points, labels = cloud(BLOBS[:3], 100, 0.5)
        points = np.concatenate([points, np.full((4, 2), 60.0)])
        choice = choose(settings(least_size=5), points)
        assert choice.fit.sizes.min() >= 5
        assert adjusted_rand(labels, choice.fit.labels[:-4]) == 1.0

    def test_what_is_there_stays_until_something_is_clearly_better(self) -> None:
        points, _ = cloud(BLOBS[:4], 60, 0.5)
        right = np.array(BLOBS[:4])
        assert not reconsider(settings(), points, right)[1]
        choice, new = reconsider(settings(), points, right[:2])
        assert (len(choice.fit.centroids), new) == (4, True)
        assert not reconsider(settings(k_margin=1.0), points, right[:2])[1]

    @pytest.mark.parametrize("seed", range(4))
    def test_where_there_are_no_kinds_there_are_few_clusters(self, seed: int) -> None:
        """One round cloud: silhouettes hardly differ, and other customers would give other clusters."""
        points = np.random.default_rng(seed).normal(size=(800, 5))
        wide = settings(judged=400, k_max=12)
        assert choose(wide, points).k == 2
        present = fit_kmeans(points, 11, 1).centroids
        choice, new = reconsider(wide, points, present)
        assert (choice.k, new) == (2, True)

    def test_as_many_as_are_as_good_and_agree(self) -> None:
        """Three kinds, one of which falls into two halves that lie close: two clusters are hardly worse than four."""
        points, labels = cloud([[0.0, 0.0], [4.5, 0.0], [40.0, 0.0], [0.0, 40.0]], 100, 1.0)
        doubting = choose(settings(k_doubt=1e9), points)
        assert adjusted_rand(labels, doubting.fit.labels) > 0.9
        assert doubting.k > choose(settings(k_doubt=0.0), points).k

    def test_by_how_many_errors_a_silhouette_is_behind(self) -> None:
        fit = nearest(np.array([[0.0], [1.0]]), np.array([[0.0]]))
        low, high = Choice(fit, np.array([0.1, 0.3, 0.2])), Choice(fit, np.array([0.2, 0.6, 0.4]))
        assert low.behind(high) == pytest.approx(0.2 / (np.std([0.1, 0.3, 0.2]) / 3**0.5))
        assert (high.behind(low), low.behind(low)) == (0.0, 0.0)
        assert Choice(fit, np.zeros(3)).behind(Choice(fit, np.ones(3))) == float("inf")


class TestKinds:
    def test_near_clusters_are_of_one_kind(self) -> None:
        centroids = np.array([[0.0, 0], [20, 0], [0, 1], [21, 0], [10, 17], [20, 1]])
        assert broad_kinds(centroids) == [0, 1, 0, 1, 2, 1]

    @pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 9])
    def test_two_to_four_kinds(self, k: int) -> None:
        """Counted from 0 as they come, none empty."""
        found = broad_kinds(np.array([[float(at * at)] for at in range(k)]))
        assert min(k, 2) <= len(set(found)) <= min(k, 4)
        assert list(dict.fromkeys(found)) == list(range(len(set(found))))

    def test_sizes_are_of_the_labels(self) -> None:
        assert Fit(np.zeros((3, 1)), np.array([0, 2, 2]), 0.0).sizes.tolist() == [1, 0, 2]
