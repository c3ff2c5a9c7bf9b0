"""Which rules are in force when: for the job as a whole, and what of it one customer has lived through.

    calendar    | v0             | v1                    | v2 (published for a later time)
    customer    | v0 ........... . v0 | v1 ............. now      had lived beyond the start of v1 when it was published
                                      ^ takes v1 up here, at its own clock

The past of a customer never changes: a late event is put right under the rules that were in force for that customer at
its time, so each one remembers when it took which rules up. What comes is the calendar's, the same for all.
"""

from collections.abc import Iterable
from typing import NamedTuple

from schemas.settings import Settings
from state.customer.program import Program
from state.rules.ruleset import RuleSet

REIGNS_MAX = 100
"""Rule sets that are remembered at most; of more than that within the allowed lateness the oldest are forgotten."""
ALWAYS_MS = -1
"""Before the time of any event."""


class Reign(NamedTuple):
    """Rules, in force from `from_ms` on until the next ones are. `number` rises with every publication."""

    number: int
    from_ms: int
    program: Program


class Calendar:
    """Reigns in order of time and of publication. `revision` tells customers that they have to look again."""

    __slots__ = ("past", "reigns", "revision")

    def __init__(self, base: Program) -> None:
        self.reigns = [Reign(0, ALWAYS_MS, base)]
        self.past: list[Reign] = []  # replaced before, or in, their first millisecond; some may have lived under them
        self.revision = 0

    @classmethod
    def of(cls, settings: Settings, rules: RuleSet, *, watching: bool = False) -> "Calendar":
        """One rule set for all times."""
        return cls(Program.of(settings, rules, watching=watching))

    @property
    def newest(self) -> Reign:
        """The rules that were published last."""
        return self.reigns[-1]

    def add(self, program: Program, from_ms: int) -> Reign:
        """Publish rules that come into force at `from_ms`.

        They replace what was published for that time or a later one: nothing outlives a newer publication.
        """
        number = self.newest.number + 1
        while len(self.reigns) > 1 and self.reigns[-1].from_ms >= from_ms:
            self.past.append(self.reigns.pop()._replace(from_ms=from_ms))
        self.reigns.append(Reign(number, max(from_ms, self.reigns[-1].from_ms), program))
        self.revision += 1
        return self.newest

    def restore(self, reigns: Iterable[Reign], past: Iterable[Reign]) -> None:
        """Stand as it stood when these were kept."""
        self.reigns, self.past = list(reigns), list(past)
        self.revision += 1

    def forget(self, horizon_ms: int) -> None:
        """Let go of rules that were replaced before `horizon_ms`, and of the oldest where there are too many."""
        self.past = [reign for reign in self.past[-REIGNS_MAX:] if reign.from_ms >= horizon_ms]
        over = len(self.reigns) - REIGNS_MAX
        while len(self.reigns) > 1 and (over > 0 or self.reigns[1].from_ms < horizon_ms):
            first = self.reigns.pop(1)
            self.reigns[0] = first._replace(from_ms=ALWAYS_MS)
            over -= 1

    def after(self, number: int, clock_ms: int) -> Reign | None:
        """What comes for a customer who has taken up number `number` and lived until `clock_ms`, and when."""
        coming: Reign | None = None
        for reign in reversed(self.reigns):
            if reign.number <= number:
                break
            coming = reign
            if reign.from_ms <= clock_ms:
                return reign._replace(from_ms=clock_ms)
        return coming

    def program(self, version: str) -> Program | None:
        """The program of a rule version, unless it is forgotten."""
        for reign in (*self.reigns, *self.past):
            if reign.program.rules.version == version:
                return reign.program
        return None
