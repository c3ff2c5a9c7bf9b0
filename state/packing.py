"""MessagePack for packed state: one encoder for all, and parts that are packed once and kept until they change."""

from typing import Any

import msgspec

pack = msgspec.msgpack.Encoder().encode
unpack = msgspec.msgpack.Decoder().decode


def part(value: Any) -> msgspec.Raw:
    """A value packed once: encoding it again as part of something larger copies bytes."""
    return msgspec.Raw(pack(value))
