"""A catalog's file: what is an item, and what is wrong with what is none."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.catalog.item import Item
from serving.catalog.reading import CatalogError, Reading, read_catalog
from serving.catalog.store import pack_item, unpack_item


def read(path: Path, text: str) -> tuple[list[Item], Reading]:
    path.write_text(text, encoding="utf-8")
    reading = Reading()
    return read_catalog(path, reading), reading


def faults(reading: Reading) -> list[str]:
    return [str(fault) for fault in reading.faults]


class TestJsonLines:
    def test_a_full_item(self, tmp_path: Path) -> None:
        """All fields; a time as text or as milliseconds; an id that is a number."""
        line: dict[str, Any] = {
            "item_id": 7, "category": "shoes", "tags": ["sale", "red", "sale"], "in_stock": False, "price_cents": 1250,
            "title": "Shoe", "url": "/7", "image_url": "/7.png", "listed_at": "2026-03-01T00:00:00Z",
        }  # fmt: skip
        items, reading = read(tmp_path / "c.jsonl", json.dumps(line))
        assert items == [
            Item(item_id="7", category="shoes", tags=("sale", "red"), in_stock=False, price_cents=1250, title="Shoe",
                 url="/7", image_url="/7.png", listed_ms=1_772_323_200_000)
        ]  # fmt: skip
        assert (reading.items, reading.faults) == (1, [])

    def test_faults_name_line_and_field(self, tmp_path: Path) -> None:
        """Every line that is no item is listed, and the others are read."""
        lines = [
            '{"item_id": "a"}', "nonsense", "", '{"category": "x"}', '{"item_id": "b", "in_stock": "maybe"}',
            '{"item_id": "c", "price": 3}', '{"item_id": "d", "tags": 3}', '{"item_id": "e\\u0001"}', "[1]",
            '{"item_id": "f", "price_cents": -1}', '{"item_id": "g", "listed_at": "soon"}', '{"item_id": "z"}',
        ]  # fmt: skip
        items, reading = read(tmp_path / "c.jsonl", "\n".join(lines))
        assert [item.item_id for item in items] == ["a", "z"]
        assert [(fault.line, fault.field) for fault in reading.faults] == [
            (2, None), (4, "item_id"), (5, "in_stock"), (6, "price"), (7, "tags"), (8, "item_id"), (9, None),
            (10, "price_cents"), (11, "listed_at"),
        ]  # fmt: skip
        assert faults(reading)[3] == "line 6: price: write price_cents, in whole minor units"

    def test_the_last_of_two_counts(self, tmp_path: Path) -> None:
        """And the first is counted as repeated; fields that mean nothing are counted, too."""
        items, reading = read(tmp_path / "c.jsonl", '{"item_id":"a"}\n{"item_id":"a","title":"T","colour":"red"}\n')
        assert items == [Item(item_id="a", title="T")]
        assert (reading.items, reading.repeated, reading.ignored) == (1, 1, {"colour": 1})

    @given(st.lists(st.sampled_from(['{"item_id":"a"}', '{"item_id":"b"}', "x", '{"item_id":""}', "{}", ""])))
    def test_nothing_is_lost(self, tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
        """items + faults + repeated = lines that are not empty."""
        _, reading = read(tmp_path_factory.mktemp("c") / "c.jsonl", "\n".join(lines))
        assert reading.items + len(reading.faults) + reading.repeated == sum(map(bool, lines))


class TestCsv:
    def test_texts_become_what_fields_are(self, tmp_path: Path) -> None:
        """Tags between |, yes and no, quoted commas; empty fields count as not there."""
        text = 'item_id,tags,in_stock,price_cents,title\np1,sale|red,no,1250,"Shoe, red"\np2,,,,\n'
        items, _ = read(tmp_path / "c.csv", text)
        first = Item(item_id="p1", tags=("sale", "red"), in_stock=False, price_cents=1250, title="Shoe, red")
        assert items == [first, Item(item_id="p2")]

    def test_faults(self, tmp_path: Path) -> None:
        """By the line of the file; a field too many is one."""
        text = "item_id,in_stock,price_cents\np1,maybe,\np2,,12.5\np3,,,more\n,yes,\n"
        _, reading = read(tmp_path / "c.csv", text)
        assert faults(reading) == [
            "line 2: in_stock: must be true or false",
            "line 3: price_cents: must be a whole number of minor units that is not negative, such as 1250 for 12.50",
            "line 4: has 1 fields more than the first line",
            "line 5: item_id: is missing",
        ]

    def test_without_ids_it_is_none(self, tmp_path: Path) -> None:
        """And so is what is no text, or no file."""
        with pytest.raises(CatalogError, match="item_id among them"):
            read(tmp_path / "c.csv", "id,title\n1,x\n")
        (tmp_path / "bytes.csv").write_bytes(b"item_id\n\xff\xfe\n")
        with pytest.raises(CatalogError, match="is no UTF-8 text"):
            read_catalog(tmp_path / "bytes.csv", Reading())
        with pytest.raises(CatalogError, match="No such file"):
            read_catalog(tmp_path / "none.jsonl", Reading())


class TestPacked:
    @given(
        st.builds(
            Item,
            item_id=st.text(min_size=1),
            category=st.none() | st.text(),
            tags=st.lists(st.text()).map(tuple),
            in_stock=st.booleans(),
            price_cents=st.none() | st.integers(0, 1 << 53),
            listed_ms=st.none() | st.integers(0, 1 << 53),
        )
    )
    def test_comes_back(self, item: Item) -> None:
        """As it was."""
        assert unpack_item(pack_item(item)) == item

    def test_what_is_no_item(self) -> None:
        """Counts as not there; fields of a later version do no harm."""
        assert unpack_item(None) is unpack_item(b"\xc1") is unpack_item(b"\x80") is None
        assert unpack_item(b"\x82\xa7item_id\xa1a\xa5later\x01") == Item(item_id="a")
