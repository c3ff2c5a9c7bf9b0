"""What is wrong with a rule file: every problem at once, each with its place."""

from collections.abc import Sequence
from typing import NamedTuple


class Problem(NamedTuple):
    """One fault: where it is (line and column count from 1, in characters), in which segment, and what to do."""

    source: str
    line: int | None
    column: int | None
    segment: str | None
    message: str

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.source, self.line, self.column) if part is not None)
        segment = f'segment "{self.segment}": ' if self.segment is not None else ""
        return f"{place}: {segment}{self.message}"


class RuleError(ValueError):
    """A rule file that cannot be used; `problems` holds all faults that were found, in the file's order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda p: (p.line or 0, p.column or 0)))
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type["RuleError"], tuple[tuple[Problem, ...]]]:
        return RuleError, (self.problems,)
