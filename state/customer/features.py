"""Features of a customer as of now: generated readers, one call for all the values that somebody needs.

A reader is one Python function written from the names it has to read, so that reading fifteen features costs one call.
The fold must have been advanced to the time that is asked about.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from state.customer.fold import Fold
from state.customer.readings import EXPRESSIONS, HELPERS
from state.rules.features import FEATURES

Values = tuple[Any, ...]
Reader = Callable[[Fold, int], Values]


def reader(names: Sequence[str]) -> Reader:
    """One function that reads `names`, in this order, from (fold, now_ms).

    Raises:
        KeyError: a name that is no feature.
    """
    # the text is built from a table of ours alone, never from what a user wrote
    code = compile(f"lambda f, t: {_tuple_of(names)}", "<features>", "eval")
    return eval(code, dict(HELPERS))  # type: ignore[no-any-return]  # noqa: S307


def module_that_reads_all() -> str:
    """A module for the compiled core, which reads all features in the time in which a reader reads a few."""
    return f'''"""Written by `jobs.compile_core`."""

from typing import Any

from state.customer.fold import Fold
from state.customer.readings import {", ".join(HELPERS)}


def read_all(f: Fold, t: int) -> tuple[Any, ...]:
    return {_tuple_of(FEATURE_NAMES)}
'''


def _tuple_of(names: Sequence[str]) -> str:
    return "(" + "".join(f"{EXPRESSIONS[name]}, " for name in names) + ")"


FEATURE_NAMES = tuple(FEATURES)
read_all: Reader = reader(FEATURE_NAMES)
with suppress(ImportError):  # only the compiled core has it
    from state.customer.every_feature import read_all  # type: ignore[import-not-found,no-redef,unused-ignore]
Features: Any = msgspec.defstruct(
    "Features", [(name, Any, None) for name in FEATURE_NAMES], omit_defaults=True, gc=False
)
"""All features, encoded as a map without the absent ones."""


def features(fold: Fold) -> Any:
    """All features as of the fold's clock, as a `Features`."""
    return Features(*read_all(fold, fold.clock_ms))
