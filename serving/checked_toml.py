"""A TOML file of the shop, read with every fault at once and each with its line and column."""

import ast
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from serving.conditions import why_not_here
from state.rules import tree
from state.rules.conditions import Conditions
from state.rules.errors import Problem, RuleError
from state.rules.files import read_toml
from state.rules.language import Expression, ExpressionError
from state.rules.positions import Path as KeyPath
from state.rules.positions import Positions
from state.rules.suggest import did_you_mean


class CheckedToml:
    """A parsed file, and the faults found in it so far. `read` methods return None for what is faulty or not there.

    Raises:
        RuleError: the text is no TOML.
    """

    def __init__(self, text: str, source: str) -> None:
        text, self.content = read_toml(text, source)
        self.source = source
        self.problems: list[Problem] = []
        self._positions = Positions(text)

    def finish(self) -> None:
        """Raise what was found, if anything was.

        Raises:
            RuleError: with all faults.
        """
        if self.problems:
            raise RuleError(self.problems)

    def report(self, path: KeyPath, message: str, place: tuple[int, int] | None = None) -> None:
        """A fault at a key (or at a place within it)."""
        line, column = place or self._positions.key(path) or (None, None)
        name = f'"{path[1]}": ' if len(path) > 1 else ""
        self.problems.append(Problem(self.source, line, column, None, name + message))

    def tables(self, key: str, example: str) -> dict[str, dict[str, Any]]:
        """The tables `[key.NAME]`; whatever else stands there is reported."""
        tables = self.content.get(key, {})
        if not isinstance(tables, dict):
            self.report((key,), f"{key} must be tables such as {example}")
            return {}
        for name, table in tables.items():
            if not isinstance(table, dict):
                self.report((key, name), f"must be a table such as {example}")
        return {name: table for name, table in tables.items() if isinstance(table, dict)}

    def only(self, path: KeyPath, table: Mapping[str, Any], known: Iterable[str]) -> None:
        """Report keys that mean nothing."""
        names = tuple(known)
        for key in table:
            if key not in names:
                hint = did_you_mean(key, names) or f"; expected {', '.join(names)}"
                self.report((*path, key), f'unknown key "{key}"{hint}')

    def text(self, path: KeyPath, table: Mapping[str, Any], key: str) -> str | None:
        """A text that is not empty."""
        found: str | None = self._read(path, table, key, _is_text, "a text in quotes")
        return found

    def texts(self, path: KeyPath, table: Mapping[str, Any], key: str) -> tuple[str, ...]:
        """A list of texts; empty if not there."""
        found = self._read(
            path, table, key, lambda one: isinstance(one, list) and bool(one) and all(isinstance(t, str) for t in one),
            'a list of texts such as ["a", "b"]',
        )  # fmt: skip
        return tuple(found or ())

    def number(
        self, path: KeyPath, table: Mapping[str, Any], key: str, least: float, most: float, *, whole: bool = False
    ) -> float | None:
        """A number within limits, both of them allowed."""
        kinds = int if whole else (int, float)

        def fits(one: Any) -> bool:
            return isinstance(one, kinds) and not isinstance(one, bool) and least <= one <= most

        what = f"a {'whole ' if whole else ''}number from {least:,} to {most:,}"
        found: float | None = self._read(path, table, key, fits, what)
        return found

    def truth(self, path: KeyPath, table: Mapping[str, Any], key: str) -> bool | None:
        """true or false."""
        found: bool | None = self._read(path, table, key, lambda one: isinstance(one, bool), "true or false")
        return found

    def time_ms(self, path: KeyPath, table: Mapping[str, Any], key: str) -> int | None:
        """A moment, as milliseconds since 1970."""
        found: datetime | None = self._read(
            path, table, key, lambda one: isinstance(one, datetime) and one.tzinfo is not None,
            "a time with a zone, without quotes: 2026-12-24T00:00:00Z",
        )  # fmt: skip
        return None if found is None else round(found.timestamp() * 1000)

    def span_ms(self, path: KeyPath, table: Mapping[str, Any]) -> tuple[int | None, int | None]:
        """`from` and `until`, as milliseconds since 1970; the second must be later than the first if both are there."""
        from_ms, until_ms = self.time_ms(path, table, "from"), self.time_ms(path, table, "until")
        if from_ms is not None and until_ms is not None and until_ms <= from_ms:
            self.report((*path, "until"), "until must be later than from")
        return from_ms, until_ms

    def _read(self, path: KeyPath, table: Mapping[str, Any], key: str, fits: Callable[[Any], bool], what: str) -> Any:
        if key not in table:
            return None
        if fits(table[key]):
            return table[key]
        self.report((*path, key), f"{key} must be {what}")
        return None

    def condition(
        self, path: KeyPath, table: Mapping[str, Any], key: str, segments: frozenset[str]
    ) -> tree.Condition | None:
        """A condition of the segment language about one customer."""
        written = self.text(path, table, key)
        if written is None:
            return None
        place = (*path, key)
        try:
            expression = Expression(written)
        except ExpressionError as error:
            self.report(place, f"{key} {error}", self._positions.char(place, error.offset))
            return None

        def at(node: ast.expr) -> tuple[int, int] | None:
            return self._positions.char(place, expression.offset(node))

        checker = Conditions(segments, lambda node, message: self.report(place, message, at(node)))
        condition = checker.check(expression.root)
        if condition is not None and (why := why_not_here(condition)):
            self.report(place, why, at(expression.root))
            return None
        return condition


def _is_text(one: Any) -> bool:
    return isinstance(one, str) and one != ""
