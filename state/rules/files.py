"""A TOML file that users write: its text and its content, or what is wrong with it and where."""

import re
import tomllib
from pathlib import Path
from typing import Any, Final

from state.rules.errors import Problem, RuleError

LONGEST: Final = 2_000_000
"""Characters of a file; more are taken for a mistake."""
_PLACE: Final = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)


def read_text(path: Path) -> str:
    """A file's text.

    Raises:
        RuleError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise RuleError([Problem(str(path), None, None, None, f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise RuleError([Problem(str(path), None, None, None, f"is no UTF-8 text: {error.reason}")]) from error


def read_toml(text: str, source: str, kind: str = "file") -> tuple[str, dict[str, Any]]:
    """The text as it is read, to which places refer, and its content; `source` and `kind` name it in messages.

    Raises:
        RuleError: it is too long, or no TOML.
    """
    text = text.replace("\r\n", "\n")
    if len(text) > LONGEST:
        raise RuleError([Problem(source, None, None, None, f"a {kind} may hold at most {LONGEST:,} characters")])
    try:
        return text, tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise RuleError([_toml_problem(source, str(error), text)]) from None


def _toml_problem(source: str, message: str, text: str) -> Problem:
    match = _PLACE.fullmatch(message)
    if match is None:
        return Problem(source, None, None, None, f"is no TOML: {message}")
    end = (text.count("\n") + 1, len(text) - text.rfind("\n"))
    line, column = (int(match[2]), int(match[3])) if match[2] else end
    return Problem(source, line, column, None, f"is no TOML: {match[1]}")
