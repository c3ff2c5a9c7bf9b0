"""MessagePack for packed state: one encoder for all, and parts that are packed once and kept until they change."""

from collections.abc import Mapping
from struct import Struct
from typing import Any

import msgspec

pack = msgspec.msgpack.Encoder().encode
unpack = msgspec.msgpack.Decoder().decode


def part(value: Any) -> msgspec.Raw:
    """A value packed once: encoding it again as part of something larger copies bytes."""
    return msgspec.Raw(pack(value))


def with_entries(packed: bytes, more: Mapping[str, Any]) -> msgspec.Raw:
    """A packed map with more entries behind its own, none of which has such a name; nothing is unpacked for it."""
    if not more:
        return msgspec.Raw(packed)
    count, entries = _parted(packed)
    return msgspec.Raw(bytes((_MAP16,)) + _COUNT.pack(count + len(more)) + entries + _parted(pack(more))[1])


def _parted(packed: bytes) -> tuple[int, bytes]:
    """How many entries a packed map has, and all of it but its head."""
    if packed[0] == _MAP16:
        return _COUNT.unpack_from(packed, 1)[0], packed[3:]
    return packed[0] & 0x0F, packed[1:]


_MAP16 = 0xDE
_COUNT = Struct(">H")
