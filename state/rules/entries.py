"""What has to come together before the mere passing of time can take a customer into a segment.

For most rules the decision is a conjunction: `engagement < 1 and since_first_seen_ms >= days(7)`. While some of it does
not hold, nobody enters before all of that has turned; so the latest of those moments counts, not the earliest, and no
moment at all while something does not hold that time alone cannot mend (`views_30d >= 10`: counts only fall).
"""

from collections.abc import Iterable, Iterator
from math import isfinite
from typing import NamedTuple

from state.rules import tree
from state.rules.atoms import Atom, Rule, Threshold, atoms_of_node, ways
from state.rules.features import FEATURES


class Need(NamedTuple):
    """A comparison that time cannot make true, or, not `as_written`, its opposite."""

    feature: str
    op: tree.ComparisonOp
    value: Threshold
    as_written: bool


class Entry(NamedTuple):
    """When outsiders of a segment can enter it by time alone: never, unless all `needs` hold."""

    bit: int
    needs: tuple[Need, ...]
    awaited: tuple[Atom, ...]
    """What time has to flip, each of them that has not flipped yet."""


def entries_of(rules: Iterable[Rule]) -> tuple[Entry, ...]:
    """The entries of those rules whose decision is a conjunction of conditions that time turns one way only."""
    return tuple(entry for rule in rules if (entry := _entry(*rule)) is not None)


def _entry(bit: int, enter: tree.Condition, leave: tree.Condition | None) -> Entry | None:
    needs: list[Need] = []
    awaited: dict[Atom, None] = {}
    try:
        parts = [*_conjuncts(enter, True), *(() if leave is None else _conjuncts(leave, False))]
        for leaf, as_written in parts:
            if not _drifts(leaf):
                continue
            if as_written in ways(_one_way(leaf)):
                awaited.update(dict.fromkeys(atoms_of_node(leaf)))
            elif isinstance(leaf, tree.Compare):
                needs.append(_need(leaf, as_written))
    except _OtherShapeError:
        return None
    return Entry(bit, tuple(needs), tuple(_last_ones(awaited)))


def _last_ones(atoms: Iterable[Atom]) -> Iterator[Atom]:
    """Of several thresholds of one feature, the one that time reaches last: the lowest of what falls."""
    of_feature: dict[str, list[Atom]] = {}
    for atom in atoms:
        of_feature.setdefault(atom.feature, []).append(atom)
    for feature, several in of_feature.items():
        last = max if FEATURES[feature].drift == "age" else min
        yield last(several, key=lambda atom: atom.threshold or 0)


class _OtherShapeError(Exception):
    """The rule is none of those that are understood here."""


def _conjuncts(node: tree.Condition, as_written: bool) -> Iterator[tuple[tree.Condition, bool]]:
    """The parts all of which must hold, each with whether it must hold as written or not."""
    match node:
        case tree.Not(part):
            yield from _conjuncts(part, not as_written)
        case tree.Every(parts) if as_written:
            for part in parts:
                yield from _conjuncts(part, True)
        case tree.Some(parts) if not as_written:
            for part in parts:
                yield from _conjuncts(part, False)
        case tree.Every() | tree.Some() | tree.Member() | tree.Asked():
            raise _OtherShapeError
        case _:
            yield node, as_written


def _drifts(leaf: tree.Condition) -> bool:
    return any(spec.drift != "static" for spec in tree.features_of(leaf))


def _one_way(leaf: tree.Condition) -> tree.Condition:
    """The leaf, if time can turn it one way only."""
    match leaf:
        case tree.Compare(_, tree.Read(spec), tree.Const(value)) if len(ways(leaf)) == 1:
            if spec.drift in ("count", "age", "decay") and isinstance(value, int | float) and isfinite(value):
                return leaf
        case tree.Present(spec) if spec.drift == "appears":
            return leaf
    raise _OtherShapeError


def _need(leaf: tree.Compare, as_written: bool) -> Need:
    match leaf:
        case tree.Compare(op, tree.Read(spec), tree.Const(int() | float() as value)):
            return Need(spec.name, op, value, as_written)
    raise _OtherShapeError
