"""Clusters keep their ids; births, deaths, splits and mergers are told."""

from math import dist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.clusters import best_matching

from state.population.identity import ClusterEvent, match_clusters

coordinates = st.tuples(st.integers(0, 6), st.integers(0, 6))
centroids = st.lists(coordinates, min_size=1, max_size=5)


def matrix(points: list[tuple[int, int]]) -> np.ndarray:
    return np.array(points, dtype=np.float64).reshape(-1, 2)


class TestMatching:
    @given(centroids, centroids, st.sampled_from([0.0, 1.0, 2.5, 9.0]))
    @settings(max_examples=300, deadline=None, derandomize=True)
    def test_as_many_as_possible_within_the_gate_and_as_near_as_possible(
        self, old: list[tuple[int, int]], new: list[tuple[int, int]], gate: float
    ) -> None:
        """Held to all permutations."""
        ids = [10 + at for at in range(len(old))]
        found = match_clusters(ids, matrix(old), matrix(new), next_id=50, gate=gate).ids
        away = [dist(old[ids.index(one)], new[at]) for at, one in enumerate(found) if one < 50]
        assert all(one <= gate for one in away)
        assert (len(away), sum(away)) == pytest.approx(best_matching(old, new, gate))

    @given(st.lists(centroids, min_size=2, max_size=6))
    @settings(max_examples=150, deadline=None, derandomize=True)
    def test_an_id_is_never_used_again(self, versions: list[list[tuple[int, int]]]) -> None:
        """And no two clusters of a version share one."""
        before: tuple[int, ...] = ()
        dead: set[int] = set()
        next_id, centres = 1, matrix([])
        for version in versions:
            matching = match_clusters(before, centres, matrix(version), next_id=next_id, gate=1.5)
            assert len(set(matching.ids)) == len(version)
            assert not dead & set(matching.ids)
            assert max(matching.ids) < matching.next_id
            gone = {event.cluster_id for event in matching.events if event.kind in ("died", "merged")}
            came = {event.cluster_id for event in matching.events if event.kind in ("born", "split")}
            assert gone == set(before) - set(matching.ids)
            assert came == set(matching.ids) - set(before)
            dead |= gone
            before, centres, next_id = matching.ids, matrix(version), matching.next_id


class TestEvents:
    def test_a_cluster_that_falls_apart(self) -> None:
        """One part keeps the id, the other one comes out of it."""
        moved = (np.zeros(10, dtype=np.int64), np.array([0] * 6 + [1] * 4))
        found = match_clusters([7], matrix([(0, 0)]), matrix([(0, 1), (3, 0)]), next_id=8, gate=2.0, moved=moved)
        assert found.ids == (7, 8)
        assert found.events == [ClusterEvent("split", 8, 7)]

    def test_two_clusters_that_become_one(self) -> None:
        moved = (np.array([0] * 5 + [1] * 5), np.zeros(10, dtype=np.int64))
        found = match_clusters([3, 4], matrix([(0, 0), (2, 0)]), matrix([(0, 0)]), next_id=5, gate=1.0, moved=moved)
        assert found.ids == (3,)
        assert found.events == [ClusterEvent("merged", 4, 3)]

    def test_without_a_majority_it_is_a_birth_and_a_death(self) -> None:
        """A new cluster half of whose members were elsewhere comes from nowhere."""
        moved = (np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1]))
        old, new = matrix([(0, 0), (9, 9)]), matrix([(5, 0), (9, 9)])
        found = match_clusters([1, 2], old, new, next_id=3, gate=1.0, moved=moved)
        assert found.ids == (3, 2)
        assert found.events == [ClusterEvent("born", 3), ClusterEvent("died", 1)]

    def test_the_first_version_is_born(self) -> None:
        found = match_clusters((), matrix([]), matrix([(0, 0), (1, 1)]), next_id=1, gate=1.0)
        assert found.events == [ClusterEvent("born", 1), ClusterEvent("born", 2)]
