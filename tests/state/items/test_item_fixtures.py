"""States of the item and publish operators written by version 1, kept as files: every later program must read them.

The rows, ledgers and messages inside have files of their own in tests/state/similar/fixtures. A new version gets new
files beside these. To make them, in a Python prompt that has the project and tests/state/items on its path:
`import test_item_fixtures as t`, then `t.write()`. The files of a version are written once.
"""

import json
from pathlib import Path
from typing import Any

import msgspec
from item_stores import Shop, read_write

from state.similar.changes import messages
from state.similar.settings import VIEWED_WITH, SimilarSettings

FIXTURES = Path(__file__).parent / "fixtures"
SETTINGS = SimilarSettings(
    near=(64, 32, 10), viewed_half_life_ms=30 * 86_400_000, viewed_shrink=2, ledger_max=50, candidates_max=200
)
"""Belongs to the files."""
START_MS = 1_740_787_200_000
LEDGERS = [
    tuple((START_MS + 60_000 * number, 0, product) for number, product in enumerate(products))
    for products in ("abcab", "bcd", "adé", "ca")
]
KEY = "viewed-with|a"


def write() -> None:
    """Store the states of all items of a small shop, and what they mean."""
    shop = Shop(live=True, settings=SETTINGS)
    for ledger in LEDGERS:
        for item, message in messages(VIEWED_WITH, (), ledger, SETTINGS):
            shop.tell(f"viewed-with|{item}", message)
    for item, message in messages(VIEWED_WITH, LEDGERS[0], (), SETTINGS):
        shop.item_stores[f"viewed-with|{item}"].append(message)  # waiting, not in the row yet
    content = msgspec.msgpack.encode(
        {
            "items": {key: [store.value, store.messages] for key, store in sorted(shop.item_stores.items())},
            "published": {key: store.value for key, store in sorted(shop.publish_stores.items())},
            "totals": dict(sorted(shop.totals.items())),
        }
    )
    (FIXTURES / "shop.v1.bin").write_bytes(content)
    (FIXTURES / "shop.v1.json").write_text(as_json(meaning(content)), encoding="utf-8")


def meaning(content: bytes) -> dict[str, Any]:
    """The lists of the shop as the states have them, and after its end."""
    states = msgspec.msgpack.decode(content)
    found = {}
    for live in (True, False):
        shop = Shop(live=live, as_of_ms=None if live else START_MS, settings=SETTINGS)
        shop.totals = dict(states["totals"])
        for key, (value, waiting) in states["items"].items():
            shop.item_stores[key].value, shop.item_stores[key].messages = value, list(waiting)
        for key, value in states["published"].items():
            shop.publish_stores[key].value = value
        if live:
            shop.watermark_ms = START_MS
            for item, message in messages(VIEWED_WITH, (), LEDGERS[1], SETTINGS, prompt=True):
                shop.tell(f"viewed-with|{item}", message)
        shop.end()
        found["live, once more told" if live else "at the end"] = [read_write(output) for output in shop.writes]
    return found


def as_json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


class TestVersion1:
    def test_it_still_means_the_same(self) -> None:
        found = json.loads(as_json(meaning((FIXTURES / "shop.v1.bin").read_bytes())))
        assert found == json.loads((FIXTURES / "shop.v1.json").read_text(encoding="utf-8"))

    def test_the_file_is_worth_reading(self) -> None:
        """Rows, waiting messages, published lists and totals are all in it."""
        states = msgspec.msgpack.decode((FIXTURES / "shop.v1.bin").read_bytes())
        assert any(value for value, _ in states["items"].values())
        assert all(waiting for key, (_, waiting) in states["items"].items() if key[-1] in "abc")
        assert all(states["published"].values())
        assert set(states["totals"]) == set(states["items"])
        assert KEY in states["items"]
