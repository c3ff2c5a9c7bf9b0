"""What a subscriber has once nothing more comes."""

from collections.abc import Iterator
from typing import Any


def settled(maps: Iterator[dict[Any, Any]]) -> dict[Any, Any]:
    """The map once there is something in it and a second passes without anything new."""
    before: dict[Any, Any] = {}
    for number, found in enumerate(maps):
        if (found and found == before) or number > 30:
            break
        before = dict(found)
    return before
