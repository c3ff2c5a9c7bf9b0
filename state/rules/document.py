"""A rule file: its TOML, and every segment in it parsed and checked. All faults are collected, each with its place."""

import ast
import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from state.rules import tree
from state.rules.conditions import Conditions
from state.rules.duration import parse_duration_ms
from state.rules.errors import Problem, RuleError
from state.rules.files import read_toml
from state.rules.language import Expression, ExpressionError
from state.rules.positions import Path, Positions
from state.rules.suggest import did_you_mean

MAX_SEGMENTS: Final = 256
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")
_TOP_KEYS: Final = ("name", "segments")
_SEGMENT_KEYS: Final = ("description", "when", "enter", "leave", "minimum_stay")


class CheckedCondition(NamedTuple):
    """A condition, and its text without spacing and comments."""

    tree: tree.Condition
    canonical: str


class Segment(NamedTuple):
    """One segment as the file defines it; `leave` None: a member leaves when `enter` is no longer true."""

    name: str
    description: str
    enter: CheckedCondition
    leave: CheckedCondition | None
    minimum_stay_ms: int
    refers_to: tuple[str, ...]

    @property
    def conditions(self) -> tuple[tree.Condition, ...]:
        """Its conditions, the one to enter first."""
        return (self.enter.tree,) if self.leave is None else (self.enter.tree, self.leave.tree)


class Document(NamedTuple):
    """A checked rule file."""

    name: str | None
    segments: tuple[Segment, ...]


def read_document(text: str, source: str) -> Document:
    """Parse and check the text of a rule file; `source` names it in messages.

    Raises:
        RuleError: with every fault that was found.
    """
    text, content = read_toml(text, source, "rule file")
    return _Reader(content, Positions(text), source).read()


class _Reader:
    def __init__(self, content: Mapping[str, object], positions: Positions, source: str) -> None:
        self._content = content
        self._positions = positions
        self._source = source
        self._problems: list[Problem] = []
        segments = content.get("segments")
        self._tables: Mapping[str, object] = segments if isinstance(segments, dict) else {}
        self._names = frozenset(self._tables)
        self._reference_places: dict[tuple[str, str], tuple[int, int] | None] = {}
        self._references: dict[str, list[str]] = {}

    def read(self) -> Document:
        self._keys((), self._content, _TOP_KEYS, None)
        name = self._text((), self._content, "name", None)
        if not self._tables:
            self._report(("segments",), None, "has no segments; write at least one table such as [segments.regulars]")
        if len(self._tables) > MAX_SEGMENTS:
            self._report(("segments",), None, f"has {len(self._tables)} segments, at most {MAX_SEGMENTS} are allowed")
        checked = [self._segment(segment, table) for segment, table in self._tables.items()]
        self._circles()
        if self._problems:
            raise RuleError(self._problems)
        return Document(name, tuple(segment for segment in checked if segment is not None))

    def _report(self, path: Path, segment: str | None, message: str, place: tuple[int, int] | None = None) -> None:
        line, column = place or self._positions.key(path) or (None, None)
        self._problems.append(Problem(self._source, line, column, segment, message))

    def _keys(self, path: Path, table: Mapping[str, object], known: tuple[str, ...], segment: str | None) -> None:
        for key in table:
            if key not in known:
                hint = did_you_mean(key, known)
                expected = "" if hint else f"; expected {', '.join(known)}"
                self._report((*path, key), segment, f'unknown key "{key}"{hint}{expected}')

    def _text(self, path: Path, table: Mapping[str, object], key: str, segment: str | None) -> str | None:
        value = table.get(key)
        if value is None or isinstance(value, str):
            return value
        self._report((*path, key), segment, f"{key} must be a text in quotes")
        return None

    def _segment(self, name: str, table: object) -> Segment | None:
        path = ("segments", name)
        faults = len(self._problems)
        if not _NAME.fullmatch(name):
            hint = "use a-z, 0-9 and -, beginning with a letter or digit, at most 100 characters"
            self._report(path, name, f"this name is not allowed: {hint}")
        if not isinstance(table, dict):
            self._report(path, name, f"must be a table: [segments.{name}]")
            return None
        self._keys(path, table, _SEGMENT_KEYS, name)
        description = self._text(path, table, "description", name)
        if "description" not in table or description == "":
            self._report(path, name, "needs a description: one sentence that says who is in it")
        stay_ms = self._stay(path, table, name)
        enter, leave = self._enter_and_leave(path, table, name)
        if enter is None or description is None or len(self._problems) > faults:
            return None
        refers_to = tuple(dict.fromkeys(self._references.get(name, ())))
        return Segment(name, description, enter, leave, stay_ms, refers_to)

    def _stay(self, path: Path, table: Mapping[str, object], name: str) -> int:
        written = self._text(path, table, "minimum_stay", name)
        if written is None:
            return 0
        try:
            return parse_duration_ms(written)
        except ValueError as error:
            self._report((*path, "minimum_stay"), name, str(error))
            return 0

    def _enter_and_leave(
        self, path: Path, table: Mapping[str, object], name: str
    ) -> tuple[CheckedCondition | None, CheckedCondition | None]:
        if "when" in table and ("enter" in table or "leave" in table):
            self._report(path, name, "has when beside enter or leave: write either when, or enter (and leave)")
        elif "when" not in table and "enter" not in table:
            self._report(path, name, "has no condition: write when, or enter (and leave)")
        found = {
            key: self._condition(path, table, key, name)
            for key in ("when", "enter", "leave")
            if self._text(path, table, key, name) is not None
        }
        enter, leave = found.get("when") or found.get("enter"), found.get("leave")
        if enter is not None and leave is not None and enter.canonical == leave.canonical:
            self._report((*path, "leave"), name, "enter and leave are the same condition: nobody could ever enter")
        return enter, leave

    def _condition(self, path: Path, table: Mapping[str, object], key: str, name: str) -> CheckedCondition | None:
        place = (*path, key)
        try:
            expression = Expression(str(table[key]))
        except ExpressionError as error:
            self._report(place, name, f"{key} {error}", self._positions.char(place, error.offset))
            return None

        def at(node: ast.expr) -> tuple[int, int] | None:
            return self._positions.char(place, expression.offset(node))

        checker = Conditions(self._names, lambda node, message: self._report(place, name, message, at(node)))
        condition = checker.check(expression.root)
        for referred, node in checker.references:
            self._references.setdefault(name, []).append(referred)
            self._reference_places.setdefault((name, referred), at(node))
        return None if condition is None else CheckedCondition(condition, expression.canonical)

    def _circles(self) -> None:
        edges = self._references
        reported: set[str] = set()
        for name in edges:
            circle = _way(edges, name, name)
            if circle is not None and reported.isdisjoint(circle):
                reported.update(circle)
                way = " -> ".join(circle)
                place = self._reference_places.get((name, circle[1]))
                self._report(("segments", name), name, f"refers to itself in a circle: {way}", place)


def _way(edges: Mapping[str, Iterable[str]], start: str, goal: str) -> list[str] | None:
    """The shortest way of at least one step from one segment to another."""
    came_from: dict[str, str] = {}
    level = [start]
    while level:
        following: list[str] = []
        for name in level:
            for referred in edges.get(name, ()):
                if referred == goal:
                    way = [goal, name]
                    while way[-1] != start:
                        way.append(came_from[way[-1]])
                    return way[::-1]
                if referred not in came_from:
                    came_from[referred] = name
                    following.append(referred)
        level = following
    return None
