"""What travels from a customer to an item: by how much the item's sums change.

A message is a flat MessagePack list `[version, flags, base, value, support, partner, value, support, ...]`: first the
change of the item's own count, then of its pairs; values times 2^base. A partner may occur more than once.
"""

from typing import Any, Final, TypeAlias

from state.packing import pack, unpack
from state.similar.errors import expect_version
from state.similar.wide import narrow, widen

Fields: TypeAlias = list[Any]
"""A message's list, all values plain integers."""

VERSION: Final = 1
FLAGS, BASE, VALUE, SUPPORT, PARTNERS = 1, 2, 3, 4, 5
PROMPT: Final = 1
"""Flag: publish at once, however little it changes (an erasure, a withdrawn consent, a refund)."""
WIDE: Final = 2
"""Flag: some value needs more than 64 bits, and is bytes."""


def write_message(fields: Fields) -> bytes:
    """The fields as bytes."""
    try:
        packed: bytes = pack(fields)
    except OverflowError:
        wide = fields.copy()
        wide[FLAGS] |= WIDE
        wide[VALUE] = narrow(wide[VALUE])
        for place in range(PARTNERS + 1, len(wide), 3):
            wide[place] = narrow(wide[place])
        packed = pack(wide)
    return packed


def read_message(message: bytes) -> Fields:
    """The fields of a message.

    Raises:
        SimilarStateError: a newer program wrote it.
    """
    fields: Fields = unpack(message)
    if fields[0] != VERSION:
        expect_version(fields[0], VERSION, "a message to an item")
    if fields[FLAGS] & WIDE:
        fields[FLAGS] &= ~WIDE
        fields[VALUE] = widen(fields[VALUE])
        for place in range(PARTNERS + 1, len(fields), 3):
            fields[place] = widen(fields[place])
    return fields


def add_up(fields: Fields) -> Fields | None:
    """The message with each partner once and without what came to nothing; None if nothing is left."""
    sums: dict[str, list[int]] = {}
    for place in range(PARTNERS, len(fields), 3):
        known = sums.setdefault(fields[place], [0, 0])
        known[0] += fields[place + 1]
        known[1] += fields[place + 2]
    short = fields[:PARTNERS]
    for partner, (value, support) in sums.items():
        if value or support:
            short += (partner, value, support)
    return short if len(short) > PARTNERS or short[VALUE] or short[SUPPORT] else None
