"""The shop's products, from the file that `segmill catalog load` reads, too."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

SHIPPED = Path(__file__).with_name("catalogue.jsonl")
CURRENCY = "USD"
"""That of the prices, and what a job takes amounts to be in by default."""


@dataclass(frozen=True)
class Product:
    """One thing on sale."""

    item_id: str
    category: str
    title: str
    price_cents: int
    tags: tuple[str, ...] = ()

    @property
    def price(self) -> str:
        """In major units, as events have it: 12.50."""
        return major_units(self.price_cents)


class Catalogue(Mapping[str, Product]):
    """Products by id, in the order of the file."""

    def __init__(self, products: Iterator[Product]) -> None:
        self._products = {product.item_id: product for product in products}

    def __getitem__(self, item_id: str) -> Product:
        return self._products[item_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._products)

    def __len__(self) -> int:
        return len(self._products)

    def by_category(self) -> dict[str, list[Product]]:
        """Category to products."""
        found: dict[str, list[Product]] = {}
        for product in self._products.values():
            found.setdefault(product.category, []).append(product)
        return found


def load_catalogue(path: Path = SHIPPED) -> Catalogue:
    """Read a file of JSON lines.

    Raises:
        OSError: it cannot be read.
        ValueError: a line is no product; the message says which.
    """
    return Catalogue(_product(path, number, line) for number, line in enumerate(_lines(path), 1) if line.strip())


def major_units(cents: int) -> str:
    """1250 as 12.50."""
    return f"{cents // 100}.{cents % 100:02d}"


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def _product(path: Path, number: int, line: str) -> Product:
    try:
        row = json.loads(line)
        return Product(
            str(row["item_id"]), str(row["category"]), str(row["title"]), int(row["price_cents"]), tuple(row["tags"])
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}, line {number}: no product: {error!r}") from None
