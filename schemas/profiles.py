"""Versioned Redis values: a MessagePack map that opens with its version at a fixed place.

::

    byte 0      1..2     3         12          20         29          38
         map16  entries  "version" uint64 (BE) "as_of_ms" uint64 (BE) the other entries

The writer's script compares bytes 12..19 and 30..37 of what is stored with those of what comes, without unpacking
either; to a reader it is an ordinary map. A value of these two entries alone is a tombstone: what was there is
withdrawn.
"""

import struct
from collections.abc import Mapping
from typing import Any

import msgspec

_HEADER = struct.Struct(">BH8sBQ9sBQ")
_MAP16, _UINT64 = 0xDE, 0xCF
_VERSION, _AS_OF_MS = b"\xa7version", b"\xa8as_of_ms"
HEADER_BYTES = _HEADER.size
HEADER_ENTRIES = 2
_LARGEST_FIXMAP = 15
_MOST_ENTRIES = 0xFFFF - HEADER_ENTRIES

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class ProfileError(ValueError):
    """A stored value that is not a versioned map."""


def pack_versioned(version: int, as_of_ms: int, body: dict[str, Any]) -> bytes:
    """Pack a value. `body` must not hold `version` or `as_of_ms` itself.

    Raises:
        ValueError: a negative version or time, or too many entries.
    """
    if version < 0 or as_of_ms < 0 or len(body) > _MOST_ENTRIES:
        raise ValueError(f"cannot pack version {version} as of {as_of_ms} ms with {len(body)} entries")
    entries = _encode(body)[1 if len(body) <= _LARGEST_FIXMAP else 3 :]
    return _header(version, as_of_ms, len(body)) + entries


def pack_tombstone(version: int, as_of_ms: int) -> bytes:
    """Pack the mark that a value was withdrawn as of then."""
    return pack_versioned(version, as_of_ms, {})


def unpack_versioned(value: bytes | None) -> dict[str, Any] | None:
    """Unpack a value, `version` and `as_of_ms` among its entries; None for no value and for a tombstone.

    Raises:
        ProfileError: it is not what `pack_versioned` packs.
    """
    if value is None:
        return None
    try:
        unpacked = _decode(value)
    except msgspec.DecodeError as error:
        raise ProfileError(f"not a MessagePack value: {error}") from error
    if not isinstance(unpacked, dict) or "version" not in unpacked or "as_of_ms" not in unpacked:
        raise ProfileError("not a map with a version and an as_of_ms")
    return unpacked if len(unpacked) > HEADER_ENTRIES else None


def merged(profile: Mapping[str, Any] | None, population: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The profile of one customer, of its two parts as they are unpacked: own facts, and what all others add.

    `version` and `as_of_ms` are those of own facts; without these there is no profile.
    """
    if profile is None or population is None:
        return None if profile is None else dict(profile)
    more = {name: value for name, value in population.items() if name not in profile}
    both = {part: {**profile[part], **population.get(part, {})} for part in ("features", "segments") if part in profile}
    return {**profile, **more, **both}


def _header(version: int, as_of_ms: int, entries: int) -> bytes:
    return _HEADER.pack(_MAP16, HEADER_ENTRIES + entries, _VERSION, _UINT64, version, _AS_OF_MS, _UINT64, as_of_ms)
