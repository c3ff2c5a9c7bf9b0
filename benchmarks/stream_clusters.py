"""River's other clusterers, which the population does not use: quality and cost beside those that it does.

Both get an advantage: they see points in the scaling that the sample has at the end, of intervals from the first one
on, and may assign customers when all is over. STREAMKMeans is told how many clusters there are; DBSTREAM finds that
out, and is tried with several radii.
"""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from river import cluster

from state.population.scaling import Matrix

FED = 20_000
"""Points at most that one is fed with, every n-th of all: DBSTREAM is slow."""
RADII = (1.0, 2.0)


class Streamed(NamedTuple):
    """What a clusterer has made of a population."""

    name: str
    labels: Any
    """(n,): of the points that were asked about."""
    clusters: int
    learn_us: float
    """CPU time per snapshot."""


def streamed(intervals: Sequence[Matrix], asked: Matrix, k: int) -> list[Streamed]:
    """All of them, fed with points of intervals in their order.

    Args:
        intervals: (n, dimensions) each.
        asked: (n, dimensions) whose labels are wanted.
        k: the clusters that STREAMKMeans is to find.
    """
    every = -(-sum(map(len, intervals)) // FED)
    points = [dict(enumerate(row)) for one in intervals for row in one[::every].tolist()]
    found = [_run("river STREAMKMeans", cluster.STREAMKMeans(chunk_size=10 * k, n_clusters=k, seed=1), points, asked)]
    for radius in RADII:
        learner = cluster.DBSTREAM(clustering_threshold=radius, fading_factor=0.0005, cleanup_interval=100)
        found.append(_run(f"river DBSTREAM, radius {radius:g}", learner, points, asked))
    return found


def _run(name: str, learner: Any, points: Sequence[dict[int, float]], asked: Matrix) -> Streamed:
    began = time.process_time()
    for point in points:
        learner.learn_one(point)
    learn_us = (time.process_time() - began) / len(points) * 1e6
    labels = np.array([learner.predict_one(dict(enumerate(row))) for row in asked.tolist()])
    return Streamed(name, labels, len(set(labels.tolist())), learn_us)
