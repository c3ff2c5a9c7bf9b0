"""Values that a broken, newer or hostile writer may leave in Redis."""

import random
from collections.abc import Iterator
from typing import Any

import msgspec

from schemas.profiles import pack_versioned

LEAVES: tuple[Any, ...] = (
    None, True, -1, 0, 2**63, 2**64 - 1, -(2**63), 1e308, -0.0, float("nan"), float("inf"), "", "x" * 600,
    "\x00", "é😀", b"\xff\xfe", [], {}, [[]], {"a": {}}, {1: 2}, {None: 1}, {b"\xff": 1}, {1.5: "x"}, {True: 1},
    [[1, [2, [3]]]],
    "1:0:1:", msgspec.msgpack.Ext(5, b"\x00\xff"), {"x": msgspec.msgpack.Ext(1, b"")}, {(1, 2): 3}, "0:0", ":", [None],
    "NaN",
)  # fmt: skip


def changed(body: Any, draw: random.Random) -> Any:
    """The same with one of its parts, however deep, in place of which is something else."""
    if isinstance(body, dict) and body and draw.random() < 0.9:
        name = draw.choice(list(body))
        return body | {name: changed(body[name], draw)}
    if isinstance(body, list | tuple) and body and draw.random() < 0.9:
        place = draw.randrange(len(body))
        return [changed(one, draw) if at == place else one for at, one in enumerate(body)]
    return draw.choice(LEAVES)


def spoiled(body: dict[str, Any], count: int) -> Iterator[bytes]:
    """Packed values, from rather good to rather bad."""
    draw = random.Random(len(body))
    good = pack_versioned(1, 5, body)
    for version, as_of_ms in ((0, 0), (2**64 - 1, 2**64 - 1), (2**53, 2**53)):
        yield pack_versioned(version, as_of_ms, body)
    for odd in LEAVES:
        yield msgspec.msgpack.encode({"version": odd, "as_of_ms": 5, **body})
        yield msgspec.msgpack.encode({"version": 1, "as_of_ms": odd, **body})
        yield msgspec.msgpack.encode(odd)
    for name in body:
        yield pack_versioned(1, 5, {other: value for other, value in body.items() if other != name})
        for odd in LEAVES:
            yield pack_versioned(1, 5, body | {name: odd})
    yield pack_versioned(1, 5, body | dict.fromkeys(map(str, range(300)), 1))
    yield b"\x91" * 100_000
    yield good[:-1] + b"\x91" * 500 + b"\x00"
    for _ in range(count):
        name = draw.choice(list(body))
        yield pack_versioned(1, 5, body | {name: changed(body[name], draw)})
        yield good[: draw.randrange(len(good))]
        spoilt = bytearray(good)
        for _ in range(draw.randrange(1, 4)):
            spoilt[draw.randrange(len(spoilt))] = draw.randrange(256)
        yield bytes(spoilt)


def nested(body: dict[str, Any]) -> Iterator[bytes]:
    """Lists in lists: as deep as can be read, and deeper."""
    for name in body:
        for depth in (*range(930, 1_000, 3), 100, 500, 1_500):
            yield pack_versioned(1, 5, body | {name: {"deep": msgspec.Raw(b"\x91" * depth + b"\x00")}})
