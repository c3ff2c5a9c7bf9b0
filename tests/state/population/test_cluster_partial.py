"""Sums by centroid: exact, whatever the order and the division."""

from math import dist
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.packing import pack
from state.population.partial import GRAIN, Partial
from state.population.refusal import ClusterStateError

CENTROIDS = ((0.0, 0.0), (2.0, 0.0), (0.0, 2.0))
coordinates = st.floats(-3, 3, allow_nan=False)
points = st.lists(st.tuples(coordinates, coordinates), max_size=40)


def added(found: list[tuple[float, ...]], number: int = 5) -> Partial:
    partial = Partial(number, len(CENTROIDS), 2)
    for point in found:
        partial.add(point, CENTROIDS)
    return partial


class TestPartial:
    @given(points, st.randoms(use_true_random=False), st.lists(st.integers(0, 40), max_size=3))
    @settings(max_examples=200, deadline=None, derandomize=True)
    def test_merged_parts_are_one_pass(self, found: list[tuple[float, ...]], random: Random, cuts: list[int]) -> None:
        """To the last bit, in any order."""
        shuffled = found.copy()
        random.shuffle(shuffled)
        merged = added([])
        for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(found)], strict=True):
            merged.merge(Partial.unpacked(added(shuffled[start:end]).packed()))
        assert merged.packed() == added(found).packed()

    @given(points)
    @settings(max_examples=200, deadline=None, derandomize=True)
    def test_as_computed_from_the_points(self, found: list[tuple[float, ...]]) -> None:
        """Within half a grain for each point and coordinate, and what that does to a square."""
        partial = added(found)
        counts, sums = partial.totals()
        for at, centroid in enumerate(CENTROIDS):
            mine = [p for p in found if min(range(3), key=lambda one: dist(p, CENTROIDS[one])) == at]
            assert counts[at] == len(mine)
            if not mine:
                assert partial.mean_squares()[at] == 0.0
                continue
            data = np.array(mine)
            assert np.abs(sums[at] - data.sum(axis=0)).max() <= 0.5 * len(mine) / GRAIN + 1e-12
            true = ((data - data.mean(axis=0)) ** 2).sum(axis=1).mean()
            # a coordinate is at most 3 and off by h = 1/2 grain: squares by 6h + h^2 for each of two coordinates, the
            # square of the mean by as much, and one grain for the whole division
            assert abs(partial.mean_squares()[at] - true) <= 4 * (3 / GRAIN + 1 / GRAIN**2) + 1 / GRAIN
            assert len(centroid) == 2

    def test_sums_of_another_model_are_refused(self) -> None:
        with pytest.raises(ValueError, match="model 6"):
            added([]).merge(added([], number=6))

    def test_the_stated_bound_can_be_packed(self) -> None:
        """A billion snapshots at 128 scales."""
        partial = added([(127.99, -127.99)])
        for sums in partial.sums:
            sums[:] = [value * 10**9 for value in sums]
        partial.squares = [value * 10**9 for value in partial.squares]
        assert Partial.unpacked(partial.packed()).packed() == partial.packed()

    def test_newer_ones_are_refused(self) -> None:
        with pytest.raises(ClusterStateError, match="upgrade the program"):
            Partial.unpacked(pack((2, 1, [], [], [])))
