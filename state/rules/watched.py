"""What a customer's own facts settle of rules that ask about the population: watched beside the rules in force."""

from collections.abc import Callable
from dataclasses import dataclass

from state.rules import tree
from state.rules.atoms import Atom, Bearing, bearings_of
from state.rules.codegen import Rule, compile_rules
from state.rules.entries import Entry, entries_of
from state.rules.features import FEATURES
from state.rules.ruleset import RuleSet

Truths = Callable[[tuple[object, ...], int], int]
"""(values aligned with `reads`, mask of the segments that the customer is in) -> that mask, with the parts above it."""


@dataclass(frozen=True, eq=False)
class Watched:
    """The parts of `RuleSet.remainder` as if they were segments behind those of the rules, with bits of their own."""

    reads: tuple[str, ...]
    """Those of the rules, then what the parts read besides."""
    truths: Truths
    bearings: dict[Atom, Bearing]
    """Of rules and parts, as in `RuleSet`."""
    entries: tuple[Entry, ...]


def watched_of(rules: RuleSet) -> Watched:
    """Compile what has to be watched; nothing of it changes what the rules say."""
    count, parts = len(rules.names), rules.remainder.parts
    used = {spec.name for part in parts for spec in tree.features_of(part)}
    reads = (*rules.reads, *(name for name in FEATURES if name in used and name not in rules.reads))
    behind = [Rule(count + number, f"~{number}", part, None, stays=False) for number, part in enumerate(parts)]
    step = compile_rules(behind, reads, others=rules.bit_of).step
    decisions = [
        (rules.bit_of[one.name], one.enter.tree, None if one.leave is None else one.leave.tree)
        for one in rules.segments
        if one.name in rules.bit_of
    ]
    decisions += [(rule.bit, rule.enter, None) for rule in behind]
    entries = entries_of(decisions)
    return Watched(
        reads=reads,
        truths=lambda values, mask: step(values, mask, 0),
        bearings=bearings_of(decisions, known_entries=sum(1 << entry.bit for entry in entries)),
        entries=entries,
    )
