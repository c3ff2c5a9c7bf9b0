"""What is remembered of rules by version, the newest ones only."""

from typing import Final, TypeVar

T = TypeVar("T")
RULES_KEPT: Final = 16
"""Customers may live under rules that newer ones have replaced, as long as late events may come: so many are kept."""


def keep(kept: dict[str, T], version: str, value: T) -> list[str]:
    """Put a version behind the others, as the newest; the versions that were let go for it."""
    kept.pop(version, None)
    kept[version] = value
    gone = list(kept)[:-RULES_KEPT]
    for one in gone:
        del kept[one]
    return gone
