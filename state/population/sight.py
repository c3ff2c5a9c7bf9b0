"""A customer as seen at a moment, for whom the population is learned from."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Sight(NamedTuple):
    """A customer as of a moment."""

    as_of_ms: int
    revision: int
    """Another one whenever something has happened to the customer."""
    values: Mapping[str, Any] | None
    """Features by name; None: there is nothing to show of the customer (consent withdrawn, erased, unknown)."""
