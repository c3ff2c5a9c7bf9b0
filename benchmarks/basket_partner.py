"""How well `bought-with` lists foretell what else is in an order, on Online Retail; and what the lists look like.

    python -m benchmarks.basket_partner [CSV.XZ] [--tune]

Orders are built here from the invoices (cancellations and codes that are not products left out). The lists learn from
all orders before 2011-11-01, and are asked about those from then on: of up to five pairs of products of each order,
drawn by a fixed seed, is the second among the first 20 neighbours of the first (HR@20), and how high (MRR@20)?
With `--tune` the settings are tried on October, learned from what was before. Last, the lists of the ten products
bought most often, learned from everything.
"""

import argparse
import csv
import lzma
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from benchmarks.session_baselines import ItemKnn
from state.similar.changes import messages
from state.similar.ledger import Bought, newest
from state.similar.message import read_message
from state.similar.row import ItemRow
from state.similar.score import Neighbour, candidates, neighbours
from state.similar.settings import BOUGHT_WITH, DAY_MS, SimilarSettings

SHIPPED = Path(__file__).parent.parent / "examples" / "online_retail.csv.xz"
TOP = 20
Rows = Mapping[str, ItemRow]
Lists = Mapping[str, Sequence[Neighbour]]


class Order(NamedTuple):
    time_ms: int
    number: int
    customer: str
    products: list[str]


def read_orders(path: Path) -> tuple[list[Order], dict[str, str]]:
    """All orders by time, and the products' names."""
    orders: dict[str, Order] = {}
    names: dict[str, str] = {}
    with lzma.open(path, "rt", encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            number, code = row["InvoiceNo"], row["StockCode"].upper()
            if number.isdigit() and code[:5].isdigit() and int(row["Quantity"]) > 0 and float(row["UnitPrice"]) > 0:
                time = datetime.fromisoformat(row["InvoiceDate"]).replace(tzinfo=UTC)
                customer = row["CustomerID"] or f"invoice {number}"
                order = orders.setdefault(number, Order(int(time.timestamp()) * 1000, int(number), customer, []))
                if code not in order.products:
                    order.products.append(code)
                names[code] = row["Description"]
    return sorted(orders.values()), names


def learn(orders: Iterable[Order], settings: SimilarSettings) -> tuple[Rows, int, int]:
    """Rows of all products; how many (order, product) entries there were, and how many the ledgers left out."""
    entries: dict[str, list[Bought]] = defaultdict(list)
    for order in orders:
        entries[order.customer] += [(order.time_ms, order.number, code, True) for code in sorted(order.products)]
    rows: dict[str, ItemRow] = defaultdict(ItemRow)
    total = left_out = 0
    for of_customer in entries.values():
        ledger, too_old = newest(of_customer, settings.ledger_max)
        total += len(of_customer)
        left_out += too_old
        for item, message in messages(BOUGHT_WITH, (), ledger, settings):
            rows[item].apply(read_message(message))
    return rows, total, left_out


def lists_of(rows: Rows, settings: SimilarSettings) -> Lists:
    totals = {item: row.total for item, row in rows.items()}
    return {
        item: neighbours(candidates(row, settings.candidates_max), totals.get, BOUGHT_WITH, settings)
        for item, row in rows.items()
    }


def questions(orders: Iterable[Order]) -> list[tuple[str, str]]:
    """Up to five (given, wanted) pairs of each order."""
    rng = random.Random(11)
    pairs = []
    for order in orders:
        if len(order.products) > 1:
            pairs += [tuple(rng.sample(order.products, 2)) for _ in range(min(5, len(order.products) // 2))]
    return [(a, b) for a, b in pairs]


def measure(lists: Mapping[str, Sequence[str]], asked: Iterable[tuple[str, str]]) -> str:
    ranks = [next((at for at, item in enumerate(lists.get(a, ())[:TOP], 1) if item == b), 0) for a, b in asked]
    hits = [1 / rank for rank in ranks if rank]
    return f"HR@20 {len(hits) / len(ranks):.4f}  MRR@20 {sum(hits) / len(ranks):.4f}  ({len(ranks):,} questions)"


def ids(lists: Lists) -> dict[str, list[str]]:
    return {item: [neighbour.item for neighbour in listed] for item, listed in lists.items()}


def tune(orders: Sequence[Order]) -> None:
    """Settings tried on October 2011."""
    before = [order for order in orders if order.time_ms < month_ms(10)]
    asked = questions(order for order in orders if month_ms(10) <= order.time_ms < month_ms(11))
    base = SimilarSettings()
    variants = {"default": base}
    variants |= {f"half-life {days} d": replace(base, bought_half_life_ms=days * DAY_MS) for days in (30, 365)}
    variants |= {f"other order {count}": replace(base, other_order=count) for count in (1, 8, 64)}
    variants |= {f"ledger {size}": replace(base, ledger_max=size) for size in (25, 100, 200)}
    for name, settings in variants.items():
        rows, total, left_out = learn(before, settings)
        for shrink in (0, 2, 5, 10, 20):
            found = measure(ids(lists_of(rows, replace(settings, bought_shrink=shrink))), asked)
            print(f"{name:<18} shrink {shrink:<3} {found}  left out {left_out / total:.0%}", flush=True)


def compare(orders: Sequence[Order]) -> None:
    before = [order for order in orders if order.time_ms < month_ms(11)]
    asked = questions(order for order in orders if order.time_ms >= month_ms(11))
    rows, total, left_out = learn(before, SimilarSettings())
    print(f"bought-with       {measure(ids(lists_of(rows, SimilarSettings())), asked)}")
    print(f"  of {total:,} entries the ledgers left out {left_out:,}")
    baskets = [order.products for order in before]
    knn = ItemKnn(baskets)
    given = {a for a, _ in asked}
    best = {a: sorted(scores, key=lambda item: (-scores[item], item)) for a in given if (scores := knn.scores([a]))}
    print(f"item-KNN          {measure(best, asked)}  (all orders, no limit)")
    popular = [code for code, _ in Counter(code for basket in baskets for code in basket).most_common(TOP)]
    print(f"most popular      {measure(dict.fromkeys(given, popular), asked)}")


def show(orders: Sequence[Order], names: Mapping[str, str]) -> None:
    """The lists of the ten products in most orders."""
    rows, _, _ = learn(orders, SimilarSettings())
    lists = lists_of(rows, SimilarSettings())
    for code, times in Counter(code for order in orders for code in order.products).most_common(10):
        print(f"\n{names[code]} ({code}, {times:,} orders, {len(rows[code].values):,} partners)")
        for item, score, support in lists[code][:6]:
            print(f"   {score:.3f} {support:>5}  {names[item]} ({item})")


def month_ms(month: int) -> int:
    return int(datetime(2011, month, 1, tzinfo=UTC).timestamp()) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", type=Path, nargs="?", default=SHIPPED)
    parser.add_argument("--tune", action="store_true")
    arguments = parser.parse_args()
    orders, names = read_orders(arguments.csv)
    if arguments.tune:
        tune(orders)
    compare(orders)
    show(orders, names)


if __name__ == "__main__":
    main()
