"""What all customers have in common as long as the same rules are in force: settings, rules, and what was compiled
from them."""

from dataclasses import dataclass, field

from schemas.settings import Settings
from state.customer.features import Reader, Values, reader
from state.customer.flips import NextFlip, next_flip_of
from state.customer.fold import Fold
from state.rules.ruleset import RuleSet
from state.rules.watched import Truths, watched_of


@dataclass(frozen=True, slots=True)
class Program:
    """Rules ready to be applied to customers."""

    settings: Settings
    rules: RuleSet
    read: Reader
    next_flip: NextFlip
    nothing: Values
    """What is read of a customer of whom nothing is known."""
    watches: bool = False
    """Whether segments that ask about the population are somebody else's business, not nobody's."""
    truths: Truths | None = field(default=None, repr=False)
    """Of what is watched for those who know the population; then more is read than the rules need, behind that."""

    @classmethod
    def of(cls, settings: Settings, rules: RuleSet, *, watching: bool = False) -> "Program":
        """`watching`: what own facts settle of the rules that ask about the population is worked out, too."""
        if watching and rules.remainder.parts:
            watched = watched_of(rules)
            read = reader(watched.reads)
            next_flip = next_flip_of(watched.bearings, watched.reads, watched.entries)
            return cls(settings, rules, read, next_flip, read(Fold(settings), 0), watching, watched.truths)
        read = reader(rules.reads)
        next_flip = next_flip_of(rules.bearings, rules.reads, rules.entries)
        return cls(settings, rules, read, next_flip, read(Fold(settings), 0), watching)
