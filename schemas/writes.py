"""Writes on their way to Redis: MessagePack arrays that `operators/redis_writes.lua` reads.

A write says what shall be true, with a version; it is applied only if nothing newer is there, so that writes may be
repeated and may come in any order. Every function here returns one packed write.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum
from typing import Any

import msgpack

from schemas.profiles import pack_tombstone, pack_versioned

# The decoder inside Redis knows no `bin` type: packed values travel as `str`, which to it is bytes as well.
_encode: Callable[[tuple[Any, ...]], bytes] = msgpack.Packer(use_bin_type=False).pack

TOMBSTONE_TTL_MS = 86_400_000
"""How long a withdrawn value's version is kept, so that no older write brings it back."""
MOST_POPULAR = 1_000
"""So many items are kept of each popularity scope."""
LARGEST_EXACT = 2**53
"""Redis scores and Lua numbers are doubles: integers up to here are exact."""


class WriteKind(IntEnum):
    """First field of a write. The numbers are stored in Flink state: never reuse one."""

    PROFILE = 0
    TOMBSTONE = 1
    SIMILAR = 2
    POPULAR = 3
    META = 4
    PUBLISHED = 5
    MODEL = 6
    POPULATION = 7
    EXPERIMENT = 8


_PROFILE, _TOMBSTONE, _SIMILAR, _POPULAR, _META, _PUBLISHED, _MODEL, _POPULATION, _EXPERIMENT = (
    int(kind) for kind in WriteKind
)


def profile_write(
    customer_id: str,
    version: int,
    as_of_ms: int,
    body: dict[str, Any],
    member_since_ms: Mapping[str, int] | None = None,
    not_member: Iterable[str] = (),
) -> bytes:
    """A customer's profile, and where memberships changed the sorted sets of the segments with it.

    Args:
        customer_id: whose profile it is.
        version: moves forward with every write of this customer.
        as_of_ms: event time at which the profile holds; decides between writes of one version.
        body: the profile's entries.
        member_since_ms: all current segments and since when; None: memberships are as the version before had them.
        not_member: all other segments the customer may have been in.
    """
    value = pack_versioned(version, as_of_ms, body)
    return _with_members(_PROFILE, customer_id, value, member_since_ms, not_member)


def profile_tombstone(customer_id: str, version: int, as_of_ms: int, segments: Iterable[str]) -> bytes:
    """Withdraw a profile (erasure, consent) and take the customer out of all `segments`."""
    return _encode((_TOMBSTONE, customer_id, pack_tombstone(version, as_of_ms), list(segments)))


def population_write(
    customer_id: str,
    version: int,
    as_of_ms: int,
    body: dict[str, Any],
    member_since_ms: Mapping[str, int] | None = None,
    not_member: Iterable[str] = (),
) -> bytes:
    """What is known of a customer beside all others; arguments as of `profile_write`, no body withdraws it."""
    value = pack_versioned(version, as_of_ms, body)
    return _with_members(_POPULATION, customer_id, value, member_since_ms, not_member)


def _with_members(
    kind: int, customer_id: str, value: bytes, member_since_ms: Mapping[str, int] | None, not_member: Iterable[str]
) -> bytes:
    if member_since_ms is None:
        return _encode((kind, customer_id, value))
    since = [part for name, at_ms in member_since_ms.items() for part in (name, at_ms)]
    return _encode((kind, customer_id, value, since, list(not_member)))


def similar_write(
    relation: str, item_id: str, version: int, as_of_ms: int, neighbours: Iterable[tuple[str, float, int]]
) -> bytes:
    """An item's neighbours as (item, score, support), best first; none withdraws the list."""
    listed = [list(neighbour) for neighbour in neighbours]
    value = pack_versioned(version, as_of_ms, {"neighbours": listed}) if listed else pack_tombstone(version, as_of_ms)
    return _encode((_SIMILAR, f"{relation}:{item_id}", value))


def popular_write(scope: str, item_id: str, version: int, score: float) -> bytes:
    """An item's score in a scope; a score that is not positive takes it out. `version` is at most 2**53."""
    if not 0 <= version <= LARGEST_EXACT:
        raise ValueError(f"version {version} is not exact as a double")
    return _encode((_POPULAR, scope, item_id, version, float(score)))


def meta_write(as_of_ms: int, fields: Mapping[str, str]) -> bytes:
    """Fields of the `meta` hash, all of them together or, if a newer write was there, none."""
    return _encode((_META, as_of_ms, [part for pair in fields.items() for part in pair]))


def published_write(control_id: str, as_of_ms: int) -> bytes:
    """That all writes as of a moment, asked for under this name, have been made."""
    return _encode((_PUBLISHED, control_id, as_of_ms))


def model_write(name: str, version: int, as_of_ms: int, body: dict[str, Any]) -> bytes:
    """What was learned of all customers together, under one name."""
    return _encode((_MODEL, name, pack_versioned(version, as_of_ms, body)))


def experiment_write(name: str, version: int, as_of_ms: int, body: dict[str, Any]) -> bytes:
    """How an experiment stands."""
    return _encode((_EXPERIMENT, name, pack_versioned(version, as_of_ms, body)))
