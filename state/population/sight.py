"""A customer as seen at a moment, for whom the population is learned from."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from state.population.standing import Standing

_pack = msgspec.msgpack.Encoder().encode


class Sight(NamedTuple):
    """A customer as of a moment."""

    as_of_ms: int
    revision: int
    """Another one whenever something has happened to the customer."""
    values: Mapping[str, Any] | None
    """Features by name; None: there is nothing to show of the customer (consent withdrawn, erased, unknown)."""
    version: int = -1
    rules: str = ""
    parts: int = 0
    """These as a standing has them."""
    event_id: str | None = None
    """Of the newest event."""
    said_ms: int = -1
    """As of when a standing said all of this, but for what ages or fades; -1: none did."""

    def standing(self, *, news: bool) -> Standing:
        """What those are told who know the population; `news`: of something that happened, not of time alone."""
        values = {name: value for name, value in (self.values or {}).items() if value is not None}
        cause: Any = ("event", self.event_id) if news else ("time", None)
        return Standing(self.as_of_ms, self.version, self.rules, True, self.parts, cause, _pack(values))
