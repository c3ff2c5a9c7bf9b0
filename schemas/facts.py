"""Facts: what is left of an event once it has been checked, in the one shape that state is folded from."""

from enum import IntEnum
from typing import Final, TypeAlias

import msgspec


class Kind(IntEnum):
    """The types of events. The numbers are stored in state: never reuse or change one."""

    PRODUCT_VIEWED = 1
    PRODUCT_CLICKED = 2
    PRODUCT_ADDED = 3
    PRODUCT_REMOVED = 4
    WISHLIST_ADDED = 5
    PRODUCTS_SEARCHED = 6
    CHECKOUT_STARTED = 7
    ORDER_COMPLETED = 8
    ORDER_REFUNDED = 9
    ORDER_CANCELLED = 10
    IDENTIFY = 11
    CONSENT = 12
    ERASE = 13
    RECOMMENDATION_SHOWN = 14
    RECOMMENDATION_CLICKED = 15


LAST_POSITION: Final = 100
"""A recommendation further down counts as one here."""

FactLine: TypeAlias = tuple[str, int, int | None, str | None]
"""product_id, quantity (at least 1), price_cents of one unit, category."""


class Fact(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """An accepted event. Amounts are minor units of the base currency; empty strings have become None.

    Packs to a MessagePack array, the fields that are most often absent last. It may only grow at its end, with
    defaults, or packed state could not be read any more.
    """

    time_ms: int
    event_id: str
    kind: int
    product_id: str | None = None
    category: str | None = None
    session_id: str | None = None
    device: str | None = None
    location: str | None = None
    channel: str | None = None
    quantity: int | None = None
    """Units; of a recommendation its `position`, which takes no more room in state this way."""
    order_id: str | None = None
    """Of a recommendation its `request`."""
    lines: tuple[FactLine, ...] = ()
    amount_cents: int | None = None
    """The order's or refund's `total`, if it gave one."""
    personalization: bool | None = None
    """What a consent event says about it; None when it does not say."""
    variant: str | None = None
    """Of a recommendation: the arms of experiments that made it, a valid label of schemas/variant_label.py."""

    @property
    def position(self) -> int:
        """Of a recommendation: its place on the screen, from 1 to `LAST_POSITION`."""
        return self.quantity or 1

    @property
    def request(self) -> str | None:
        """Of a recommendation: what tells its request apart from others, if it named one."""
        return self.order_id
