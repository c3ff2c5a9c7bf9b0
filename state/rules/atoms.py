"""What the mere passing of time can flip in a rule: the customer state wakes at the next of these moments.

orders_30d > 5                 Atom("orders_30d", 6)      flips as the count falls below 6
recency_ms <= days(30)         Atom("recency_ms", 30 days + 1 ms)
engagement > 2                 Atom("engagement", the next float after 2.0)
orders_7d * 4 > orders_30d     Atom("orders_7d", None), Atom("orders_30d", None): at any change of these
"""

from collections.abc import Iterable, Iterator
from math import ceil, floor, inf, nextafter
from typing import NamedTuple

from state.rules import tree
from state.rules.features import FeatureSpec

Threshold = int | float


class Atom(NamedTuple):
    """The condition "feature >= threshold" can flip as time passes; threshold None: any change of it counts."""

    feature: str
    threshold: Threshold | None


def atoms_of(conditions: Iterable[tree.Condition]) -> tuple[Atom, ...]:
    """All atoms of some conditions: without repetition, sorted, nothing beside an atom for any change."""
    found = {atom for condition in conditions for node in tree.walk(condition) for atom in _of_node(node)}
    whole = {atom.feature for atom in found if atom.threshold is None}
    kept = (atom for atom in found if atom.threshold is None or atom.feature not in whole)
    return tuple(sorted(kept, key=lambda atom: (atom.feature, atom.threshold or 0)))


def _of_node(node: tree.Node) -> Iterator[Atom]:
    match node:
        case tree.Compare(op, tree.Read(spec), tree.Const(value)) if not isinstance(value, str):
            yield from _of_comparison(spec, op, value)
        case tree.Within(tree.Read(spec), options):
            for option in options:
                if not isinstance(option, str):
                    yield from _of_comparison(spec, "==", option)
        case tree.Compare() | tree.Within():
            yield from _any_change(tree.features_of(node))
        case tree.Present(spec) if spec.drift == "appears":
            yield Atom(spec.name, None)


def _any_change(specs: Iterable[FeatureSpec]) -> Iterator[Atom]:
    return (Atom(spec.name, None) for spec in specs if spec.drift in ("count", "sum", "appears"))


def _of_comparison(spec: FeatureSpec, op: tree.ComparisonOp, value: Threshold) -> Iterator[Atom]:
    if spec.drift == "appears":
        yield Atom(spec.name, None)
    elif spec.drift != "static":
        thresholds = _decay_thresholds(op, value) if spec.drift == "decay" else _whole_thresholds(op, value)
        for threshold in thresholds:
            # counts, ages and decayed scores are never below zero, so they never cross these; a sum of money may be
            if threshold > 0 or spec.drift == "sum":
                yield Atom(spec.name, threshold)


def _decay_thresholds(op: tree.ComparisonOp, value: Threshold) -> tuple[float, ...]:
    return (nextafter(float(value), inf),) if op in (">", "<=") else (float(value),)


def _whole_thresholds(op: tree.ComparisonOp, value: Threshold) -> tuple[int, ...]:
    if op in (">", "<="):
        return (floor(value) + 1,)
    if op in (">=", "<"):
        return (ceil(value),)
    return (int(value), int(value) + 1) if value == floor(value) else ()
