"""A cluster keeps its id from one version of the model to the next; what becomes of the others has a name.

Old and new centroids are matched one to one: as many pairs as possible within the gate, and of those matchings the one
with the least sum of distances (Kuhn, "The Hungarian method for the assignment problem", 1955, as SciPy solves it). Ids
are counted up and never used again.

What is left over is told by where the members of a sample went:

* *split*: a new cluster most of whose members came from one old cluster that lives on; else it is *born*.
* *merged*: an old cluster most of whose members are now in one cluster that was there before; else it *died*.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from state.population.scaling import Matrix
from state.population.seeding import Labels

EventKind = Literal["born", "died", "split", "merged"]


class ClusterEvent(msgspec.Struct, frozen=True, array_like=True):
    """What happened to a cluster from one version to the next."""

    kind: EventKind
    cluster_id: int
    """Who was born, died, came out of a split, or was merged away."""
    other_id: int | None = None
    """split: out of which one; merged: into which one."""


class Matching(NamedTuple):
    """Ids of the new clusters, in their order; what happened; the next id that is free."""

    ids: tuple[int, ...]
    events: list[ClusterEvent]
    next_id: int


def match_clusters(
    old_ids: Sequence[int],
    old_centroids: Matrix,
    new_centroids: Matrix,
    *,
    next_id: int,
    gate: float,
    moved: tuple[Labels, Labels] | None = None,
) -> Matching:
    """Give new clusters the ids of those that they continue.

    Args:
        old_ids: by row of `old_centroids`; may be empty.
        old_centroids, new_centroids: (k, dimensions), in one and the same space.
        next_id: larger than every id that was ever given.
        gate: farther apart than this, two centroids are not the same cluster.
        moved: by member of a sample, the row of its old and of its new centroid; without it there are only births and
            deaths.
    """
    pairs = dict(_pairs(old_centroids, new_centroids, gate)) if len(old_ids) else {}
    kept = {new: old_ids[old] for old, new in pairs.items()}
    ids: list[int] = []
    for new in range(len(new_centroids)):
        if new in kept:
            ids.append(kept[new])
        else:
            ids.append(next_id)
            next_id += 1
    flows = _flows(moved, len(old_ids), len(new_centroids))
    events = [_came(new, ids, old_ids, pairs, flows) for new in range(len(ids)) if new not in kept]
    events += [_went(old, ids, old_ids, kept, flows) for old in range(len(old_ids)) if old not in pairs]
    return Matching(tuple(ids), events, next_id)


def _pairs(old: Matrix, new: Matrix, gate: float) -> list[tuple[int, int]]:
    distances = cdist(old, new)
    # worth more than all others together: no pair within the gate is given up for shorter ones
    beyond = (gate + 1.0) * (min(distances.shape) + 1)
    rows, columns = linear_sum_assignment(np.where(distances <= gate, distances, beyond))
    return [
        (int(row), int(column)) for row, column in zip(rows, columns, strict=True) if distances[row, column] <= gate
    ]


def _flows(moved: tuple[Labels, Labels] | None, old: int, new: int) -> Labels:
    """(old, new): how many members went from one to the other."""
    flows = np.zeros((old, new), dtype=np.int64)
    if moved is not None and old:
        np.add.at(flows, moved, 1)
    return flows


def _came(new: int, ids: list[int], old_ids: Sequence[int], pairs: dict[int, int], flows: Labels) -> ClusterEvent:
    source = _most(flows[:, new])
    if source is not None and source in pairs:
        return ClusterEvent("split", ids[new], old_ids[source])
    return ClusterEvent("born", ids[new])


def _went(old: int, ids: list[int], old_ids: Sequence[int], kept: dict[int, int], flows: Labels) -> ClusterEvent:
    target = _most(flows[old])
    if target is not None and target in kept:
        return ClusterEvent("merged", old_ids[old], ids[target])
    return ClusterEvent("died", old_ids[old])


def _most(counts: Labels) -> int | None:
    """Where more than half of them are."""
    total = int(counts.sum())
    at = int(counts.argmax()) if total else 0
    return at if total and 2 * int(counts[at]) > total else None
