"""Conditions of the segment language (docs/rules.md), asked of one customer's profile at the moment of serving.

The parser, checker and compiler are those of the segments. What differs is where values come from: a profile says what
was true as of `as_of_ms`, so ages are moved on to now and the engagement decays on; windows stay as the profile has
them. A feature that the profile does not have is absent as in the rules; one that cannot be absent there (a count, a
list) is 0, False or empty.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from state.customer.fold import ENGAGEMENT_HALF_LIFE_MS
from state.rules import tree
from state.rules.codegen import Rule, Step, compile_rules
from state.rules.features import FEATURES, PROPENSITIES, FeatureSpec

_EMPTY: Final[dict[str, Any]] = {"int": 0, "float": 0.0, "bool": False, "list[str]": ()}


class AnySegment(frozenset[str]):
    """Stands for the names of segments where nobody says which there are: every name is one."""

    def __contains__(self, name: object) -> bool:
        return True


def why_not_here(condition: tree.Condition) -> str | None:
    """What a condition asks that no profile can answer, in words; None: it can be used."""
    for part in tree.walk(condition):
        if isinstance(part, tree.Asked) and part.function != "cluster" and part.function not in PROPENSITIES:
            return f"{part.text} asks about all customers: make it a segment, and ask for segment(…) here"
    return None


@dataclass(frozen=True, slots=True)
class ConditionSet:
    """Several conditions, compiled together; bit i of an answer stands for the i-th."""

    _step: Step
    _reads: tuple[FeatureSpec, ...]
    _asks: tuple[tree.Asked, ...]
    _segment_bits: Mapping[str, int]
    _own: int

    def holding(self, profile: Mapping[str, Any] | None, now_ms: int) -> int:
        """Mask of the conditions that hold for a customer; None: one of whom nothing is known."""
        known = profile or {}
        features = known.get("features") or {}
        later_ms = max(0, now_ms - known.get("as_of_ms", now_ms))
        values = [_value(spec, features.get(spec.name), later_ms) for spec in self._reads]
        values += [_answer(asked, known) for asked in self._asks]
        mask = 0
        for name in known.get("segments") or ():
            mask |= self._segment_bits.get(name, 0)
        return self._step(tuple(values), mask, self._own) & self._own


def condition_set(conditions: Sequence[tree.Condition]) -> ConditionSet:
    """Compile checked conditions."""
    count = len(conditions)
    used = {spec.name for condition in conditions for spec in tree.features_of(condition)}
    reads = tuple(spec for name, spec in FEATURES.items() if name in used)
    asks = tuple(dict.fromkeys(_asked(conditions)))
    names = sorted({part.segment for one in conditions for part in tree.walk(one) if isinstance(part, tree.Member)})
    others = {name: count + place for place, name in enumerate(names)}
    # names with a colon: no segment can have one, so that a condition and a segment are never taken for each other
    rules = [Rule(bit, f":{bit}", condition, None, stays=False) for bit, condition in enumerate(conditions)]
    compiled = compile_rules(rules, [spec.name for spec in reads], asks, 0, others)
    bits = {name: 1 << bit for name, bit in others.items()}
    return ConditionSet(compiled.step, reads, asks, bits, (1 << count) - 1)


def _asked(conditions: Iterable[tree.Condition]) -> Iterable[tree.Asked]:
    return (part for one in conditions for part in tree.walk(one) if isinstance(part, tree.Asked))


def _value(spec: FeatureSpec, value: Any, later_ms: int) -> Any:
    """A feature's value now; None: absent. A value of another type than the registry's counts as absent."""
    if value is None or not _fits(spec, value):
        return None if spec.optional else _EMPTY[spec.type]
    if spec.drift == "age":
        return value + later_ms
    if spec.drift == "decay":
        return value * 0.5 ** (later_ms / ENGAGEMENT_HALF_LIFE_MS)
    return value


def _fits(spec: FeatureSpec, value: Any) -> bool:
    if spec.numeric:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if spec.type == "bool":
        return isinstance(value, bool)
    return isinstance(value, str) if spec.type == "str" else isinstance(value, list | tuple)


def _answer(asked: tree.Asked, profile: Mapping[str, Any]) -> Any:
    """What the profile says of the population's view of the customer; None: nothing."""
    if asked.function != "cluster":
        return (profile.get("scores") or {}).get(asked.function)
    cluster = profile.get("cluster")
    name = cluster.get("name") if isinstance(cluster, Mapping) else None
    return None if name is None else name == asked.args[0]
