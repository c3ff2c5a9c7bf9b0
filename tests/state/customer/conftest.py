"""Rules are compiled once for all tests of this folder: random runs publish the same few hundreds of times.

How rules are read, compiled and pickled is tested elsewhere (tests/state/rules).
"""

from collections.abc import Iterator
from functools import cache

import pytest

from schemas.settings import Settings
from state.customer import book
from state.customer.program import Program
from state.rules.ruleset import RuleSet

_parsed = cache(book.parse_rules)
_programs: dict[tuple[str, RuleSet, bool], Program] = {}
_compiled = Program.of


def _program(settings: Settings, rules: RuleSet, *, watching: bool = False) -> Program:
    key = repr(settings), rules, watching
    if key not in _programs:
        _programs[key] = _compiled(settings, rules, watching=watching)
    return _programs[key]


@pytest.fixture(autouse=True, scope="module")
def compiled_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(book, "parse_rules", _parsed)
        patch.setattr(Program, "of", _program)
        yield
