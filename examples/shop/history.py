"""A history for the shop's catalogue: `python -m examples.shop.history FILE` writes a log of visits that ends now.

It stands for what a shop has recorded over the years. Visitors stay within one or two interests: they look at things of
one category one after the other, and at what goes with them, and buy some. The same seed and end give the same bytes.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from examples.shop.catalogue import CURRENCY, Catalogue, Product, load_catalogue

COMPANIONS = (
    ("hand-grinder", "coffee-beans"),
    ("dripper", "paper-filters"),
    ("coffee-beans", "dripper"),
    ("teapot", "tea-bowls"),
    ("assam", "tea-strainer"),
    ("teapot", "assam"),
    ("springform", "whisk"),
    ("springform", "kitchen-scale"),
    ("apron", "whisk"),
    ("watering-can", "seeds"),
    ("trowel", "garden-gloves"),
    ("seeds", "trowel"),
    ("fountain-pen", "ink"),
    ("fountain-pen", "notebook"),
    ("desk-lamp", "notebook"),
    ("candle", "candle-holder"),
    ("candle", "matches"),
    ("blanket", "candle"),
    ("blanket", "teapot"),
    ("notebook", "coffee-beans"),
    ("apron", "garden-gloves"),
    ("tea-bowls", "springform"),
)
"""What is bought together."""
DAYS, VISITORS = 30, 600
SAME_CATEGORY, COMPANION = 0.5, 0.35
"""What is looked at next; else anything."""
ADD, ADD_COMPANION, BUY = 0.25, 0.5, 0.7
_DAY_MS = 86_400_000
_LONGEST_MS = 3_600_000
"""A visit is shorter."""


def events(catalogue: Catalogue, until_ms: int, visitors: int = VISITORS, seed: int = 1) -> list[dict[str, Any]]:
    """All events of all visitors, in order of time; the last ones shortly before `until_ms`."""
    random = Random(seed)  # noqa: S311 - nothing here is secret
    visits = [
        event
        for number in range(visitors)
        for _ in range(random.randint(1, 3))
        for event in _Visit(catalogue, random, f"h-{number:04d}", until_ms).events()
    ]
    visits.sort(key=lambda event: (event["timestamp"], event["anonymous_id"]))
    return [{"event_id": f"history-{seed}-{number}", **event} for number, event in enumerate(visits)]


class _Visit:
    """One visit of one visitor."""

    def __init__(self, catalogue: Catalogue, random: Random, visitor: str, until_ms: int) -> None:
        self._catalogue, self._random, self._visitor = catalogue, random, visitor
        self._products = list(catalogue.values())
        self._companions = companions_of(catalogue)
        self._now_ms = until_ms - _LONGEST_MS - random.randrange(DAYS * _DAY_MS)

    def events(self) -> Iterator[dict[str, Any]]:
        random, product = self._random, self._any()
        cart: dict[str, Product] = {}
        for _ in range(random.randint(3, 9)):
            yield self._event("product_viewed", product)
            if random.random() < ADD and product.item_id not in cart:
                cart[product.item_id] = product
                yield self._event("product_added", product)
                if random.random() < ADD_COMPANION:
                    for mate in random.sample(self._companions[product.item_id], 1):
                        if mate.item_id not in cart:
                            cart[mate.item_id] = mate
                            yield self._event("product_viewed", mate)
                            yield self._event("product_added", mate)
            product = self._next(product)
        if cart and random.random() < BUY:
            yield self._order(list(cart.values()))

    def _any(self) -> Product:
        """The earlier in the catalogue's category, the more popular."""
        weights = [1 / (place % 4 + 2) for place in range(len(self._products))]
        return self._random.choices(self._products, weights)[0]

    def _next(self, product: Product) -> Product:
        drawn = self._random.random()
        if drawn < COMPANION:
            return self._random.choice(self._companions[product.item_id])
        if drawn < COMPANION + SAME_CATEGORY:
            return self._random.choice(self._catalogue.by_category()[product.category])
        return self._any()

    def _event(self, kind: str, product: Product) -> dict[str, Any]:
        return {
            "type": kind,
            "timestamp": self._tick(),
            "anonymous_id": self._visitor,
            "product_id": product.item_id,
            "category": product.category,
            "price": product.price,
            "currency": CURRENCY,
        }

    def _order(self, products: list[Product]) -> dict[str, Any]:
        now_ms = self._tick()
        return {
            "type": "order_completed",
            "timestamp": now_ms,
            "anonymous_id": self._visitor,
            "order_id": f"{self._visitor}-{now_ms}",
            "currency": CURRENCY,
            "products": [
                {"product_id": one.item_id, "quantity": 1, "price": one.price, "category": one.category}
                for one in products
            ],
        }

    def _tick(self) -> int:
        self._now_ms += self._random.randint(5_000, 90_000)
        return self._now_ms


def companions_of(catalogue: Catalogue) -> dict[str, list[Product]]:
    """Product id to what is bought with it; of one that nothing goes with, its category."""
    found: dict[str, list[Product]] = {item_id: [] for item_id in catalogue}
    for one, other in COMPANIONS:
        if one in catalogue and other in catalogue:
            found[one].append(catalogue[other])
            found[other].append(catalogue[one])
    by_category = catalogue.by_category()
    return {item_id: mates or by_category[catalogue[item_id].category] for item_id, mates in found.items()}


def write_history(path: Path, until_ms: int, visitors: int = VISITORS, seed: int = 1) -> int:
    """Write the log; returns how many events are in it."""
    lines = [json.dumps(event) for event in events(load_catalogue(), until_ms, visitors, seed)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return len(lines)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m examples.shop.history", description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, metavar="FILE", help="where to write it; JSON lines")
    parser.add_argument("--visitors", type=int, default=VISITORS, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--until", type=int, metavar="MS", help="its end, milliseconds since 1970; default: now")
    given = parser.parse_args()
    until_ms = given.until if given.until is not None else time.time_ns() // 1_000_000
    count = write_history(given.file, until_ms, given.visitors, given.seed)
    print(f"{given.file}: {count:,} events", file=sys.stderr)


if __name__ == "__main__":
    main()
