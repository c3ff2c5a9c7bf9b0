"""Qualities of clusterings and matchings, from their definitions, one pair at a time."""

from collections.abc import Sequence
from itertools import combinations, permutations
from math import dist, inf

Points = Sequence[Sequence[float]]


def silhouette(points: Points, labels: Sequence[int]) -> float:
    """The mean over points of (b - a) / max(a, b); 0 for the only point of a cluster."""
    if len(set(labels)) < 2:
        return 0.0
    total = 0.0
    for i, point in enumerate(points):
        away: dict[int, list[float]] = {}
        for j, other in enumerate(points):
            if i != j:
                away.setdefault(labels[j], []).append(dist(point, other))
        if labels[i] not in away:
            continue
        a = sum(away[labels[i]]) / len(away[labels[i]])
        b = min(sum(found) / len(found) for label, found in away.items() if label != labels[i])
        total += (b - a) / max(a, b) if max(a, b) > 0 else 0.0
    return total / len(points)


def davies_bouldin(points: Points, labels: Sequence[int]) -> float:
    kinds = sorted(set(labels))
    if len(kinds) < 2:
        return 0.0
    members = {kind: [point for point, label in zip(points, labels, strict=True) if label == kind] for kind in kinds}
    centres = {
        kind: [sum(column) / len(found) for column in zip(*found, strict=True)] for kind, found in members.items()
    }
    spread = {kind: sum(dist(point, centres[kind]) for point in found) / len(found) for kind, found in members.items()}
    worst = []
    for kind in kinds:
        ratios = []
        for other in kinds:
            if other != kind:
                apart = dist(centres[kind], centres[other])
                ratios.append((spread[kind] + spread[other]) / apart if apart else inf)
        worst.append(max(ratios))
    return sum(worst) / len(worst)


def adjusted_rand(a: Sequence[int], b: Sequence[int]) -> float:
    """From the four kinds of pairs (Hubert and Arabie's formula, in counts)."""
    both = only_a = only_b = neither = 0
    for i, j in combinations(range(len(a)), 2):
        in_a, in_b = a[i] == a[j], b[i] == b[j]
        both += in_a and in_b
        only_a += in_a and not in_b
        only_b += in_b and not in_a
        neither += not in_a and not in_b
    if only_a == only_b == 0:
        return 1.0
    top = 2 * (both * neither - only_a * only_b)
    return top / ((both + only_a) * (only_a + neither) + (both + only_b) * (only_b + neither))


def best_matching(old: Points, new: Points, gate: float) -> tuple[int, float]:
    """Of all ways to pair old and new within the gate: the most pairs, and the least sum of distances with so many."""
    few, many = sorted((list(old), list(new)), key=len)
    best = (0, 0.0)
    for chosen in permutations(range(len(many)), len(few)):
        away = [dist(few[i], many[j]) for i, j in enumerate(chosen)]
        kept = [one for one in away if one <= gate]
        if (len(kept), -sum(kept)) > (best[0], -best[1]):
            best = (len(kept), sum(kept))
    return best
