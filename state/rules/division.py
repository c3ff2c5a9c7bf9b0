"""Rules that ask about the population, cut in two: what a customer's own facts settle, and what is left.

::

    enter = since_last_seen_ms <= days(7) and (cart_open or present(cart_abandoned_at_ms)) and quartile(engagement) == 4
            |------------------------------ part 0 ------------------------------|     |---------- left ----------|

    left of it: part 0 and quartile(engagement) == 4

The parts are worked out where the customer's facts are: there the millisecond is known at which time alone turns them.
What is left changes only when a part does, when a value does that is compared with everybody else's, or when the
population is seen anew. So it can be applied far from the facts, without timers but for minimum stays.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from state.rules import tree
from state.rules.codegen import Compiled, Rule, StayStep, Step, compile_rules
from state.rules.document import Segment
from state.rules.features import FEATURES, PROPENSITIES
from state.rules.numbered import Numbered


@dataclass(frozen=True, eq=False)
class Remainder(Numbered):
    """What is left of the rules that wait for the population, compiled; bit i of a mask stands for `names[i]`.

    Values are a tuple: those of `reads` (None: absent), the answers to `asks` (None: nobody knows), truths of `parts`.
    """

    version: str
    """That of the rule file."""
    names: tuple[str, ...]
    """Segments that ask about the population, or refer to one that does, in the file's order."""
    reads: tuple[str, ...]
    """Features that are compared with the population, in the registry's order."""
    asks: tuple[tree.Asked, ...]
    """What is asked of the population, each once."""
    parts: tuple[tree.Condition, ...] = field(repr=False)
    """What a customer's own facts settle, each once; they may refer to segments that do not wait."""
    own: frozenset[str]
    """Names of the segments that do not wait."""
    min_stay_ms: tuple[int, ...]
    features_of: tuple[tuple[str, ...], ...] = field(repr=False)
    """For each of `names` the features that it depends on, through segment() too, in the registry's order."""
    asks_of: tuple[tuple[int, ...], ...] = field(repr=False)
    """For each of `names` the indices into `asks` that it depends on, through segment() too."""
    compiled: Compiled = field(repr=False)

    @property
    def step(self) -> Step:
        """As `RuleSet.step`."""
        return self.compiled.step

    @property
    def stay_step(self) -> StayStep:
        """As `RuleSet.stay_step`."""
        return self.compiled.stay_step

    @cached_property
    def asks_cluster(self) -> bool:
        """Whether any of the questions is about clusters."""
        return any(asked.function == "cluster" for asked in self.asks)

    @cached_property
    def asks_propensity(self) -> bool:
        """Whether any of the questions is about a learned probability."""
        return any(asked.function in PROPENSITIES for asked in self.asks)


def remainder_of(version: str, ordered: Sequence[Segment], waiting: Iterable[str], names: Sequence[str]) -> Remainder:
    """Cut the rules that wait.

    `ordered`: all segments, each after those it refers to; `waiting`: who of them waits; `names`: these, in the file's
    order.
    """
    cutter = _Cutter(frozenset(waiting))
    bits = {name: bit for bit, name in enumerate(names)}
    rules = []
    for segment in ordered:
        if segment.name in bits:
            enter = cutter.cut(segment.enter.tree)
            leave = None if segment.leave is None else cutter.cut(segment.leave.tree)
            rules.append(Rule(bits[segment.name], segment.name, enter, leave, stays=segment.minimum_stay_ms > 0))
    left = [condition for rule in rules for condition in (rule.enter, rule.leave) if condition is not None]
    nodes = [node for condition in left for node in tree.walk(condition)]
    used = {spec.name for condition in left for spec in tree.features_of(condition)}
    asks = tuple(dict.fromkeys(node for node in nodes if isinstance(node, tree.Asked)))
    reads = tuple(name for name in FEATURES if name in used)
    stays = {segment.name: segment.minimum_stay_ms for segment in ordered}
    below = _nodes_by_segment(ordered)
    return Remainder(
        version=version,
        names=tuple(names),
        reads=reads,
        asks=asks,
        parts=tuple(cutter.parts),
        own=frozenset(stays) - frozenset(names),
        min_stay_ms=tuple(stays[name] for name in names),
        features_of=tuple(_features_among(below[name]) for name in names),
        asks_of=tuple(tuple(at for at, asked in enumerate(asks) if asked in below[name]) for name in names),
        compiled=compile_rules(rules, reads, asks, len(cutter.parts)),
    )


def _nodes_by_segment(ordered: Iterable[Segment]) -> dict[str, set[tree.Node]]:
    """All that the conditions of a segment are made of, and those of the segments it refers to."""
    nodes: dict[str, set[tree.Node]] = {}
    for segment in ordered:
        own = {node for condition in segment.conditions for node in tree.walk(condition)}
        nodes[segment.name] = own.union(*(nodes[name] for name in segment.refers_to))
    return nodes


def _features_among(nodes: Iterable[tree.Node]) -> tuple[str, ...]:
    used = {spec.name for node in nodes for spec in tree.features_of(node)}
    return tuple(name for name in FEATURES if name in used)


class _Cutter:
    def __init__(self, waiting: frozenset[str]) -> None:
        self._waiting = waiting
        self.parts: dict[tree.Condition, int] = {}

    def cut(self, node: tree.Condition) -> tree.Condition:
        """The condition with parts in the place of what own facts settle, as large as they can be."""
        if isinstance(node, tree.Const):
            return node
        if self._is_own(node):
            return tree.Part(self.parts.setdefault(node, len(self.parts)))
        match node:
            case tree.Not(part):
                return tree.Not(self.cut(part))
            case tree.Every(parts):
                return tree.Every(self._cut_among(parts, tree.Every))
            case tree.Some(parts):
                return tree.Some(self._cut_among(parts, tree.Some))
            case _:
                return node

    def _cut_among(
        self, parts: Sequence[tree.Condition], joined: type[tree.Every] | type[tree.Some]
    ) -> tuple[tree.Condition, ...]:
        """All that own facts settle as one part, before the others: their order means nothing."""
        own = tuple(part for part in parts if self._is_own(part))
        together = [] if not own else [self.cut(own[0] if len(own) == 1 else joined(own))]
        return (*together, *(self.cut(part) for part in parts if not self._is_own(part)))

    def _is_own(self, node: tree.Condition) -> bool:
        return not any(
            isinstance(part, tree.Asked) or (isinstance(part, tree.Member) and part.segment in self._waiting)
            for part in tree.walk(node)
        )
