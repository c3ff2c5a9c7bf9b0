"""What all customers have in common as long as the same rules are in force: settings, rules, and what was compiled
from them."""

from dataclasses import dataclass

from schemas.settings import Settings
from state.customer.features import Reader, Values, reader
from state.customer.flips import NextFlip, next_flip_of
from state.customer.fold import Fold
from state.rules.ruleset import RuleSet


@dataclass(frozen=True, slots=True)
class Program:
    """Rules ready to be applied to customers."""

    settings: Settings
    rules: RuleSet
    read: Reader
    next_flip: NextFlip
    nothing: Values
    """What is read of a customer of whom nothing is known."""

    @classmethod
    def of(cls, settings: Settings, rules: RuleSet) -> "Program":
        read = reader(rules.reads)
        next_flip = next_flip_of(rules.bearings, rules.reads, rules.entries)
        return cls(settings, rules, read, next_flip, read(Fold(settings), 0))
