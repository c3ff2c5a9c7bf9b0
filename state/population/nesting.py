"""Broad kinds of customers: clusters that lie close together, merged from below."""

from typing import Final

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage

from state.population.scaling import Matrix

KINDS_LEAST: Final = 2
KINDS_MOST: Final = 4


def broad_kinds(centroids: Matrix) -> list[int]:
    """By cluster, the number of its kind, counted from 0 in the order of the clusters.

    Average linkage (Sokal and Michener 1958) of the centroids, cut where the next merger would be the largest jump in
    distance, at KINDS_LEAST to KINDS_MOST kinds; as many kinds as clusters if there are no more than KINDS_LEAST.

    Args:
        centroids: (k, dimensions).
    """
    k = len(centroids)
    if k <= KINDS_LEAST:
        return list(range(k))
    tree = linkage(centroids, "average")
    heights = [0.0, *tree[:, 2].tolist()]
    # k - count mergers leave `count` kinds; the jump is to the merger that would come next
    jumps = {count: heights[k - count + 1] - heights[k - count] for count in range(KINDS_LEAST, min(KINDS_MOST, k) + 1)}
    best = max(jumps, key=lambda count: (jumps[count], -count))
    found = _cut(tree, k, best)
    order = list(dict.fromkeys(found))
    return [order.index(kind) for kind in found]


def _cut(tree: Matrix, k: int, count: int) -> list[int]:
    return [int(kind) for kind in fcluster(tree, count, "maxclust")] if count < k else list(np.arange(k))
