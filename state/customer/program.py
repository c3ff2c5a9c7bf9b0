"""What all customers have in common as long as the same rules are in force: settings, rules, and what was compiled
from them."""

from dataclasses import dataclass

from schemas.settings import Settings
from state.customer.features import Reader, reader
from state.customer.flips import NextFlip, next_flip_of
from state.rules.ruleset import RuleSet


@dataclass(frozen=True, slots=True)
class Program:
    """Rules ready to be applied to customers."""

    settings: Settings
    rules: RuleSet
    read: Reader
    next_flip: NextFlip

    @classmethod
    def of(cls, settings: Settings, rules: RuleSet) -> "Program":
        return cls(settings, rules, reader(rules.reads), next_flip_of(rules.bearings, rules.reads, rules.entries))
