"""An item as the shop describes it."""

import msgspec


class Item(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One item of the catalog. Only the id must be known; what the shop does not say is None or empty."""

    item_id: str
    category: str | None = None
    tags: tuple[str, ...] = ()
    in_stock: bool = True
    """An item whose stock nobody mentions is taken to be there."""
    price_cents: int | None = None
    """In minor units of the shop's currency."""
    title: str | None = None
    url: str | None = None
    image_url: str | None = None
    listed_ms: int | None = None
    """Since when it is on sale: milliseconds since 1970."""
