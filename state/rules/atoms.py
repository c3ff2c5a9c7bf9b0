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
    found = {atom for condition in conditions for node in tree.walk(condition) for atom in atoms_of_node(node)}
    whole = {atom.feature for atom in found if atom.threshold is None}
    kept = (atom for atom in found if atom.threshold is None or atom.feature not in whole)
    return tuple(sorted(kept, key=lambda atom: (atom.feature, atom.threshold or 0)))


class Bearing(NamedTuple):
    """To whom an atom's flip can matter: bits of segments, for those outside of them and for their members."""

    outsiders: int
    members: int

    def and_for(self, outsiders: int, members: int) -> "Bearing":
        """The same, and for these."""
        return Bearing(self.outsiders | outsiders, self.members | members)


Rule = tuple[int, tree.Condition, tree.Condition | None]
"""A segment's bit, and its `enter` and `leave`, or its `when` and None."""


def bearings_of(rules: Iterable[Rule], known_entries: int = 0) -> dict[Atom, Bearing]:
    """For the atoms of some rules, whom their flips can move; those that can move nobody are left out.

    `known_entries`: bits of segments whose outsiders are looked after otherwise (entries.py).

    Time moves a value one way: counts and scores fall, ages rise. So a comparison turns one way, too: `views_14d >= 3`
    can come to an end by time alone, but not begin; it can make a member of `when = "views_14d >= 3"` leave, but nobody
    enter.
    """
    bearings: dict[Atom, Bearing] = {}

    def add(condition: tree.Condition, outsiders: int, members: int, *, begins: bool) -> None:
        for leaf, as_written in _leaves(condition, True):
            if (begins if as_written else not begins) in ways(leaf):
                for atom in atoms_of_node(leaf) if outsiders | members else ():
                    bearings[atom] = bearings.get(atom, Bearing(0, 0)).and_for(outsiders, members)

    for bit, enter, leave in rules:
        segment = 1 << bit
        outsiders = segment & ~known_entries
        add(enter, outsiders, 0, begins=True)
        if leave is None:
            add(enter, 0, segment, begins=False)
        else:  # whom `leave` kept from entering may enter once it is over
            add(leave, outsiders, 0, begins=False)
            add(leave, 0, segment, begins=True)
    for whole in [atom for atom in bearings if atom.threshold is None]:
        for atom in [atom for atom in bearings if atom.feature == whole.feature and atom is not whole]:
            bearings[whole] = bearings[whole].and_for(*bearings.pop(atom))
    return bearings


def _leaves(node: tree.Condition, as_written: bool) -> Iterator[tuple[tree.Condition, bool]]:
    """The comparisons below a condition, each with whether an even number of `not` stands before it."""
    match node:
        case tree.Not(part):
            yield from _leaves(part, not as_written)
        case tree.Every(parts) | tree.Some(parts):
            for part in parts:
                yield from _leaves(part, as_written)
        case _:
            yield node, as_written


def ways(leaf: tree.Condition) -> tuple[bool, ...]:
    """How time alone can turn a comparison: True, it can begin to hold; False, it can cease to."""
    match leaf:
        case tree.Present(spec) if spec.drift == "appears":
            return (True,)
        case tree.Compare(op, tree.Read(spec), tree.Const(0)) if spec.drift == "count" and op in ("==", "!="):
            return (op == "==",)  # as "< 1" and ">= 1" would be
        case tree.Compare(op, tree.Read(spec), tree.Const()) if op not in ("==", "!="):
            if spec.drift in ("count", "decay"):
                return (op in ("<", "<="),)
            if spec.drift == "age":
                return (op in (">", ">="),)
    return (True, False)


def atoms_of_node(node: tree.Node) -> Iterator[Atom]:
    """The atoms of one node, without those below it."""
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
