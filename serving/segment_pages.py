"""Where a page of members begins: a cursor that stays right while members come and go.

A sorted set is ordered by score, then by the bytes of the member. A cursor is the last (score, member) that was shown;
the page after it begins with the first one greater, which is found by rank, or by bisection if that member is gone.
"""

import base64
import binascii
from collections.abc import Awaitable, Callable

import msgspec

Member = tuple[bytes, int]
"""Customer and since_ms."""
At = Callable[[int], Awaitable[Member | None]]


class CursorError(ValueError):
    """A cursor that is none of ours, or of another segment."""


class _Cursor(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    segment: str
    since_ms: int
    customer: bytes


def encode_cursor(segment: str, customer: bytes, since_ms: int) -> str:
    """Stands for everything up to and including this member."""
    packed = msgspec.msgpack.encode(_Cursor(segment, since_ms, customer))
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def decode_cursor(text: str, segment: str) -> Member:
    """The member that the cursor stands for.

    Raises:
        CursorError: it is none, or was made for another segment.
    """
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        cursor = msgspec.msgpack.decode(packed, type=_Cursor)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise CursorError("not a cursor that this API gave") from None
    if cursor.segment != segment:
        raise CursorError("a cursor of another segment")
    if not -(2**53) <= cursor.since_ms <= 2**53:
        raise CursorError("not a cursor that this API gave")
    return cursor.customer, cursor.since_ms


async def first_after(after: Member, low: int, high: int, at: At) -> int:
    """The rank of the first member greater than `after`, which lies from `low` to `high`.

    Args:
        after: a member that need not be there.
        low: no member before this rank is greater.
        high: the number of members, or a rank whose member is greater.
        at: the member of a rank, None beyond the end.
    """
    customer, since_ms = after
    while low < high:
        middle = (low + high) // 2
        found = await at(middle)
        if found is None or (found[1], found[0]) > (since_ms, customer):
            high = middle
        else:
            low = middle + 1
    return low
