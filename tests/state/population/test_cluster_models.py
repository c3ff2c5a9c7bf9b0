"""Versions of the model: assigning, hysteresis, packing, words."""

from math import dist, exp
from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest
from cluster_worlds import AXES, FEATURES
from hypothesis import given, settings
from hypothesis import strategies as st

from state.packing import pack
from state.population.axes import AXES_MAX, Axis
from state.population.cluster_names import CLUSTERS_MAX, NAME_MAX, checked_names
from state.population.describing import labels_of, traits
from state.population.model import PACKED_MAX_BYTES, Cluster, ClusterModel, ModelQuality, Trait
from state.population.refusal import ClusterStateError
from state.population.scaling import Scaling

FLAT = Scaling(AXES, (0.0,) * 3, (1.0,) * 3, (9.0,) * 3)
QUALITY = ModelQuality(0.5, 0.7, 1.0, 100)
coordinates = st.tuples(*[st.floats(-9, 9, allow_nan=False)] * 3)


def model(centroids: list[tuple[float, ...]], ids: list[int] | None = None, **changes: Any) -> ClusterModel:
    clusters = tuple(
        Cluster(one, centroid, 5, 0.1, 1.0, 1, f"label {one}")
        for one, centroid in zip(ids or range(1, len(centroids) + 1), centroids, strict=True)
    )
    return msgspec.structs.replace(ClusterModel(4, 1_000, FLAT, clusters, 2.0, 1.1, QUALITY), **changes)


TWO = model([(0.0, 0.0, 0.0), (2.0, 0.0, 0.0)], [11, 12])


class TestAssignment:
    @given(st.lists(coordinates, min_size=1, max_size=6), coordinates, st.floats(0.01, 50))
    @settings(max_examples=200, deadline=None, derandomize=True)
    def test_nearest_with_the_probabilities_of_the_definition(
        self, centroids: list[tuple[float, ...]], point: tuple[float, ...], softness: float
    ) -> None:
        """softmax(-d^2 / (2 s^2)), computed without care for underflow wherever there is none."""
        found = model(centroids, softness=softness).assign_point(point)
        away = [dist(point, centroid) for centroid in centroids]
        assert found.distance == min(away)
        assert found.cluster_id == 1 + away.index(min(away))
        assert sum(found.probabilities.values()) == pytest.approx(1.0, abs=1e-12)
        assert found.probabilities[found.cluster_id] == max(found.probabilities.values())
        plain = [exp(-one * one / softness) for one in away]
        if sum(plain) > 1e-200:
            expected = [one / sum(plain) for one in plain]
            assert list(found.probabilities.values()) == pytest.approx(expected, rel=1e-6, abs=1e-12)

    def test_one_stays_until_another_is_nearer_by_the_factor(self) -> None:
        """Between centroids at 0 and 2 with a factor of 1.1: from 12 below x = 2 / 2.1, back above 2 - 2 / 2.1."""
        turn = 2 / 2.1
        at = [TWO.assign_point((x, 0.0, 0.0), 12).cluster_id for x in (1.01, 0.99, turn + 1e-9, turn - 1e-9)]
        assert at == [12, 12, 12, 11]
        assert TWO.assign_point((2 - turn - 1e-9, 0.0, 0.0), 11).cluster_id == 11
        assert TWO.assign_point((2 - turn + 1e-9, 0.0, 0.0), 11).cluster_id == 12

    def test_the_distance_is_to_the_cluster_one_stays_in(self) -> None:
        assert TWO.assign_point((0.99, 0.0, 0.0), 12).distance == pytest.approx(1.01)

    def test_a_cluster_that_is_gone_holds_nobody(self) -> None:
        assert TWO.assign_point((0.9, 0.0, 0.0), 77).cluster_id == 11

    def test_fewer_flaps_than_without(self) -> None:
        """A customer at the border who trembles less than the factor allows never moves; without it, often."""
        random = Random(1)
        steps = [(1 + random.uniform(-0.04, 0.04), 0.0, 0.0) for _ in range(200)]
        for stay, most in ((1.1, 0), (1.0, 200)):
            held = msgspec.structs.replace(TWO, stay=stay)
            current, moves = 11, 0
            for point in steps:
                following = held.assign_point(point, current).cluster_id
                moves, current = moves + (following != current), following
            assert moves <= most
        assert moves > 50

    def test_a_snapshot_without_anything_has_a_place(self) -> None:
        assert TWO.assign({}).cluster_id == 11
        assert TWO.assign(dict.fromkeys(FEATURES, float("nan"))) == TWO.assign({})


class TestPacking:
    def test_there_and_back(self) -> None:
        packed = TWO.packed()
        assert ClusterModel.unpacked(packed) == TWO
        assert ClusterModel.unpacked(packed).packed() == packed

    def test_newer_and_damaged_ones_are_refused(self) -> None:
        with pytest.raises(ClusterStateError, match="version 2 found"):
            ClusterModel.unpacked(pack((2, TWO)))
        for packed in (b"", TWO.packed()[:-3], pack((1, [])), b"\xc1", pack((1, "x"))):
            with pytest.raises(ClusterStateError, match="damaged"):
                ClusterModel.unpacked(packed)

    def test_the_largest_model_is_within_the_bound(self) -> None:
        words = "w" * 24
        longest = "revenue_total_cents"
        axis = Axis(name=words, feature=longest, per=longest, topic=words, high=words, low=words)
        row = (0.123,) * AXES_MAX
        cluster = Cluster(
            1 << 62, row, 1 << 62, 0.1, 0.1, 1 << 62, "é" * NAME_MAX, (Trait(words, 0.1, words),) * 6, "é" * NAME_MAX
        )
        scaling = Scaling((axis,) * AXES_MAX, row, row, row, (row,) * AXES_MAX)
        largest = ClusterModel(1 << 62, 1 << 62, scaling, (cluster,) * CLUSTERS_MAX, 0.1, 0.1, QUALITY)
        assert len(largest.packed()) <= PACKED_MAX_BYTES

    def test_names(self) -> None:
        pinned = msgspec.structs.replace(TWO.clusters[0], pinned="bargain hunters")
        assert (pinned.name, TWO.cluster(12).name) == ("bargain hunters", "label 12")
        assert TWO.kinds == {1: (11, 12)}
        assert TWO.features == FEATURES

    @pytest.mark.parametrize("names", [{1: " "}, {1: "x" * 81}, {1: "a", 2: "a"}])
    def test_wrong_names_are_refused(self, names: dict[int, str]) -> None:
        with pytest.raises(ValueError, match="name"):
            checked_names(names)


class TestWords:
    def test_what_differs_most_comes_first(self) -> None:
        """Standardised differences, by hand: the second axis differs by one deviation, the first by nothing."""
        raws = np.array([[1.0, 0.0, 5.0], [3.0, 0.0, 5.0], [1.0, 2.0, 5.0], [3.0, 2.0, 5.0]])
        first, second = traits(AXES, raws, np.array([0, 0, 1, 1]), 2)
        assert first[0] == Trait("orders_30d", -1.0, "few orders_30d")
        assert second[0] == Trait("orders_30d", 1.0, "many orders_30d")
        assert [trait.difference for trait in first[1:]] == [0.0, 0.0]

    def test_one_axis_of_a_topic(self) -> None:
        axes = [msgspec.structs.replace(axis, topic="same") for axis in AXES]
        (found, _) = traits(axes, np.array([[0.0, 0, 0], [1, 2, 3]]), np.array([0, 1]), 2)
        assert len(found) == 1

    def test_a_cluster_of_nobody(self) -> None:
        assert traits(AXES, np.zeros((2, 3)), np.array([0, 0]), 2)[1] == ()

    def test_no_two_labels_are_alike(self) -> None:
        """They say more, and at last they are numbered."""
        same = [Trait("a", 2.0, "many"), Trait("b", 1.0, "old"), Trait("c", 0.9, "rich"), Trait("d", 0.6, "late")]
        none = [Trait("a", 0.1, "many")]
        assert labels_of([same, same, same, none, none, ()]) == [
            "many, old, rich",
            "many, old, rich, late",
            "many, old, rich (2)",
            "like most",
            "like most (2)",
            "like most (3)",
        ]
