"""Which candidates may be shown at all: filters of the request, stock, what was bought, rules of the shop."""

from serving.catalog.item import Item
from serving.ranking.context import Context
from serving.ranking.request import Filters
from serving.ranking.shop_rules import RulesInForce

_STOCK_ALONE = tuple(Filters(in_stock=in_stock) for in_stock in (None, True, False))


class Screen:
    """Says of one item whether it may be shown.

    In doubt it may not: where something asks for what the catalog says, and the catalog could not be read.
    """

    __slots__ = ("_again", "_bought", "_filters", "_in_stock", "_out", "_rules", "_surely_in_stock")

    def __init__(self, context: Context, rules: RulesInForce) -> None:
        filters = context.request.filters
        self._out, self._bought = context.left_out, context.bought_out
        self._again = context.settings.bought_again
        self._in_stock, self._surely_in_stock = filters.in_stock is not False, filters.in_stock is True
        self._filters = None if filters in _STOCK_ALONE else filters
        self._rules = rules if rules.leave_out else None

    def allows(self, item_id: str, item: Item | None, *, unread: bool = False) -> bool:
        """`item`: what the catalog says of it, None: nothing; `unread`: nobody knows whether it says something."""
        if item_id in self._out or (item is not None and self._in_stock and not item.in_stock):
            return False
        if unread and self._surely_in_stock:
            return False
        if item_id in self._bought and (item is None or item.category not in self._again):
            return False
        if self._filters is not None and not passes(self._filters, item):
            return False
        return self._rules is None or self._rules.allows(item_id, item, unread=unread)


def passes(filters: Filters, item: Item | None) -> bool:
    """Whether an item is what a request asks for, its stock aside."""
    wanted = filters.categories or filters.tags or filters.without_tags
    priced = filters.least_price_cents is not None or filters.most_price_cents is not None
    if item is None:
        return not wanted and not priced
    if filters.categories and item.category not in filters.categories:
        return False
    if filters.tags and not set(filters.tags) & set(item.tags):
        return False
    if set(filters.without_tags) & set(item.tags):
        return False
    if not priced:
        return True
    least, most = filters.least_price_cents, filters.most_price_cents
    cents = item.price_cents
    return cents is not None and (least is None or cents >= least) and (most is None or cents <= most)
