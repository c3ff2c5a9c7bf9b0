"""How long an answer of the ranking takes, without a network: every strategy, on a shop in memory.

    python -m benchmarks.ranking [--items 20000] [--customers 1000] [--answers 3000]

Lists have 50 neighbours, customers 20 recent views, three items in the cart and ten bought. Times are of the processor,
so that other work on the machine does not count; the result goes to standard output as JSON.
"""

import argparse
import asyncio
import json
import platform
import random
import time
from dataclasses import asdict, dataclass
from typing import Any

from serving.catalog.item import Item
from serving.ranking.engine import Recommender
from serving.ranking.memory_source import MemorySource
from serving.ranking.request import Request
from serving.ranking.settings import RankingSettings
from serving.ranking.shop_rules_file import parse_shop_rules
from serving.ranking.strategies import STRATEGIES
from state.similar.settings import BOUGHT_WITH, VIEWED_WITH

NOW_MS = 1_772_445_600_000
RULES = """
[rules.sale]
action = "boost"
factor = 1.5
tags = ["sale"]
[rules.old]
action = "hide"
tags = ["old"]
[rules.hero]
action = "pin"
items = ["p1"]
position = 2
devices = ["mobile"]
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """Microseconds of one answer."""

    mean_us: float
    p50_us: float
    p99_us: float


def shop(items: int, customers: int, draw: random.Random) -> MemorySource:
    """Random lists, profiles and a catalog."""
    source = MemorySource()
    names = [f"p{number}" for number in range(items)]
    for relation in (VIEWED_WITH, BOUGHT_WITH):
        for name in names:
            found = draw.sample(names, 50)
            source.put_similar(
                relation, name, [(one, 0.5 - place / 110, 60 - place) for place, one in enumerate(found)]
            )
    for scope in ("all", "segment:regulars", *(f"category:c{number}" for number in range(20))):
        source.scopes[scope] = [(name, 1000.0 - place) for place, name in enumerate(draw.sample(names, 200))]
    tags = ((), ("sale",), ("old",))
    source.put_items(Item(item_id=name, category=f"c{draw.randrange(20)}", tags=draw.choice(tags)) for name in names)
    for number in range(customers):
        source.profiles[f"c{number}"] = _profile(draw, names)
    return source


def _profile(draw: random.Random, names: list[str]) -> dict[str, Any]:
    viewed = [[name, NOW_MS - 60_000 * place * place] for place, name in enumerate(draw.sample(names, 20))]
    bought = [[name, NOW_MS - 86_400_000 * place] for place, name in enumerate(draw.sample(names, 10), 1)]
    return {
        "as_of_ms": NOW_MS,
        "features": {"top_categories": ["c1", "c2", "c3"], "device": "mobile"},
        "segments": {"regulars": 1},
        "recent": {"viewed": viewed, "cart": dict.fromkeys(draw.sample(names, 3), 1), "bought": bought,
                   "session_ms": NOW_MS - 1_800_000},
    }  # fmt: skip


async def measure(recommender: Recommender, strategy: str, customers: int, answers: int) -> Taken:
    """Answers to one customer after the other, a fifth of them first for warming up."""
    took = []
    for number in range(-answers // 5, answers):
        request = Request(customer_id=f"c{number % customers}", now_ms=NOW_MS, limit=20, strategy=strategy)
        started = time.process_time_ns()
        await recommender.recommend(request)
        if number >= 0:
            took.append((time.process_time_ns() - started) / 1000)
    took.sort()
    return Taken(round(sum(took) / len(took), 1), round(took[len(took) // 2], 1), round(took[len(took) * 99 // 100], 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--customers", type=int, default=1_000)
    parser.add_argument("--answers", type=int, default=3_000)
    arguments = parser.parse_args()
    source = shop(arguments.items, arguments.customers, random.Random(1))
    found: dict[str, Any] = {"python": platform.python_version(), "machine": platform.machine(), **vars(arguments)}
    for rules, name in ((None, "plain"), (parse_shop_rules(RULES), "with rules")):
        recommender = Recommender(RankingSettings(), source, rules)
        taken = {s: asyncio.run(measure(recommender, s, arguments.customers, arguments.answers)) for s in STRATEGIES}
        found[name] = {strategy: asdict(one) for strategy, one in taken.items()}
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
