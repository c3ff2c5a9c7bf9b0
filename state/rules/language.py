"""From the text of a rule to Python's syntax tree, within limits: nothing is evaluated here or later.

Python's expression syntax is only the notation; what of it has a meaning is decided by the checker.
"""

import ast
import io
import tokenize
import warnings
from itertools import accumulate
from typing import Final

MAX_LENGTH: Final = 2_000
"""Longest expression, in characters."""
MAX_DEPTH: Final = 50
"""Deepest nesting of an expression."""
MAX_NUMBER: Final = 2**53
"""Greatest magnitude of a constant: up to here floats hold every whole number exactly."""


class ExpressionError(ValueError):
    """An expression that is no expression; `offset` is the character at fault."""

    def __init__(self, message: str, offset: int = 0) -> None:
        super().__init__(message)
        self.offset = offset


class Expression:
    """A parsed expression: its tree, and the way from a node back to its place in the text.

    Raises:
        ExpressionError: not Python expression syntax, or larger than the limits.
    """

    def __init__(self, text: str) -> None:
        _check_characters(text)
        # brackets around it let an expression run over several lines, with comments
        self._wrapped = f"({text}\n)"
        self._lines = self._wrapped.split("\n")
        self._starts = list(accumulate((len(line) + 1 for line in self._lines), initial=-1))
        self.root = self._parse()
        self._check_brackets()
        _check_depth(self.root)

    @property
    def canonical(self) -> str:
        """The expression without its spacing, comments and needless brackets."""
        return ast.unparse(self.root)

    def offset(self, node: ast.expr) -> int:
        """Index of a node's first character in the text."""
        line = self._lines[node.lineno - 1]
        before = line.encode()[: node.col_offset]
        return self._starts[node.lineno - 1] + len(before.decode())

    def _parse(self) -> ast.expr:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse(self._wrapped, mode="eval").body
        except SyntaxError as error:
            why = "compare with == instead of =" if "'=='" in error.msg else error.msg
            raise ExpressionError(f"cannot be read: {why}", self._place(error.lineno, error.offset)) from None
        except (ValueError, RecursionError, MemoryError):
            raise ExpressionError(f"is nested more than {MAX_DEPTH} deep, or cannot be read") from None

    def _place(self, line: int | None, column: int | None) -> int:
        if not line:
            return 0
        start = self._starts[min(line, len(self._lines)) - 1]
        return max(0, min(start + max(column or 1, 1) - 1, len(self._wrapped) - 3))

    def _check_brackets(self) -> None:
        """The brackets set around the text must match each other: `a) or (b` is no expression."""
        depth = 0
        tokens = [t for t in tokenize.generate_tokens(io.StringIO(self._wrapped).readline) if t.type == tokenize.OP]
        for token in tokens[:-1]:
            depth += (token.string in "([{") - (token.string in ")]}")
            if depth == 0:
                place = self._place(token.start[0], token.start[1] + 1)
                raise ExpressionError("cannot be read: unmatched ')'", place)


def _check_characters(text: str) -> None:
    if not text.strip():
        raise ExpressionError("is empty; write a condition such as `orders_30d > 5`")
    if len(text) > MAX_LENGTH:
        raise ExpressionError(
            f"is {len(text):,} characters long, at most {MAX_LENGTH:,} are allowed; "
            "put parts into segments of their own and refer to them with segment()",
        )
    for index, char in enumerate(text):
        if (ord(char) < 32 and char not in "\t\n") or 0xD800 <= ord(char) < 0xE000:
            raise ExpressionError(f"holds the character U+{ord(char):04X}, which is not allowed", index)


def _check_depth(root: ast.expr) -> None:
    level: list[ast.AST] = [root]
    for _ in range(MAX_DEPTH):
        level = [
            child for node in level for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr | ast.keyword)
        ]
        if not level:
            return
    raise ExpressionError(
        f"is nested more than {MAX_DEPTH} deep; put parts into segments of their own and refer to them with segment()"
    )
