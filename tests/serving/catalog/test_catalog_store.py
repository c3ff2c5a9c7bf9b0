"""The catalog in a real Redis (Valkey), and the commands that bring it there."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.runtime.valkey import EmbeddedValkey
from jobs.runtime.workspace import workspace
from schemas.keys import Keys
from schemas.profiles import pack_versioned
from serving.catalog.item import Item
from serving.catalog.store import CatalogStore, unpack_item
from tests.jobs.cli_runs import call

KEYS = Keys("t[1]:")
"""A prefix with signs that mean something to SCAN."""


@pytest.fixture(scope="module")
def valkey() -> Iterator[EmbeddedValkey]:
    with workspace() as folder, EmbeddedValkey(folder / "v") as valkey:
        yield valkey


@pytest.fixture
def client(valkey: EmbeddedValkey) -> Any:
    client = valkey.client()
    client.flushall()
    return client


def stored(client: Any, item_id: str) -> Item | None:
    return unpack_item(client.get(KEYS.item(item_id)))


def newest(client: Any, category: str) -> list[tuple[str, float]]:
    found = client.zrange(KEYS.popular(f"new:{category}"), 0, -1, desc=True, withscores=True)
    return [(name.decode(), score) for name, score in found]


class TestWriting:
    def test_items_and_the_newest_of_each_category(self, client: Any) -> None:
        """Listed as they say, or now."""
        items = [Item(item_id="a", category="x"), Item(item_id="b", category="x", listed_ms=5), Item(item_id="c")]
        assert CatalogStore(client, KEYS).write(items, 100) == 3
        assert stored(client, "a") == Item(item_id="a", category="x", listed_ms=100)
        assert newest(client, "x") == [("a", 100.0), ("b", 5.0)]

    def test_again(self, client: Any) -> None:
        """An item keeps since when it is listed, and goes from one category to another."""
        store = CatalogStore(client, KEYS)
        store.write([Item(item_id="a", category="x")], 100)
        assert store.write([Item(item_id="a", category="y", title="T")], 200) == 0
        assert stored(client, "a") == Item(item_id="a", category="y", title="T", listed_ms=100)
        assert (newest(client, "x"), newest(client, "y")) == ([], [("a", 100.0)])

    def test_others_are_removed(self, client: Any) -> None:
        """Those that are not in the file, and nothing else."""
        store = CatalogStore(client, KEYS)
        store.write([Item(item_id=f"i{number}", category="x") for number in range(2_500)], 100)
        client.set("t1:item:other", b"somebody else's")
        assert store.remove_others([Item(item_id="i7")]) == 2_499
        assert [key for key in client.scan_iter() if b"item" in key and b"t1" not in key] == [b"t[1]:item:i7"]
        assert newest(client, "x") == [("i7", 100.0)]
        assert client.get("t1:item:other") is not None


class TestCommands:
    def test_load(self, valkey: EmbeddedValkey, client: Any, tmp_path: Path, capsys: Any) -> None:
        """Loads what it can, lists the rest, and says so by its exit code; --replace takes nothing out then."""
        file = tmp_path / "c.jsonl"
        arguments = ("catalog", "load", file, "--redis", valkey.url, "--prefix", KEYS.prefix, "--replace", "--json")
        file.write_text('{"item_id": "a"}\n{"item_id": "b"}\n')
        said = call(capsys, *arguments)
        assert (said.code, said.json["loaded"], said.json["new"], said.json["removed"]) == (0, 2, 2, 0)
        file.write_text('{"item_id": "b"}\n{"item_id": "c", "tags": 5}\n')
        said = call(capsys, *arguments)
        assert (said.code, said.json["loaded"], said.json["new"], "removed" in said.json) == (3, 1, 0, False)
        assert said.json["faults"][0]["line"] == 2
        assert stored(client, "a") is not None
        file.write_text('{"item_id": "b"}\n')
        assert call(capsys, *arguments).json["removed"] == 1

    def test_check(self, tmp_path: Path, capsys: Any) -> None:
        """Reads, and needs no Redis."""
        (tmp_path / "c.csv").write_text("item_id,colour\na,red\n")
        said = call(capsys, "catalog", "check", tmp_path / "c.csv")
        assert (said.code, said.out) == (0, f"{tmp_path / 'c.csv'}: 1 items\n")
        assert "'colour' means nothing here" in said.err

    def test_load_without_an_address(self, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """Says what is missing."""
        monkeypatch.delenv("SEGMILL_REDIS_URL", raising=False)
        (tmp_path / "c.csv").write_text("item_id\na\n")
        said = call(capsys, "catalog", "load", tmp_path / "c.csv")
        assert said.code == 2
        assert "--redis URL" in said.err


class TestContentCommands:
    FILE = (
        '[content.vip]\nslot = "top"\nwhen = \'segment("vip")\'\ntext = "T"\n[content.all]\nslot = "top"\ntext = "A"\n'
    )

    def test_check(self, tmp_path: Path, capsys: Any) -> None:
        """A faulty file is told by its exit code, as text and as JSON."""
        file = tmp_path / "content.toml"
        file.write_text(self.FILE)
        assert call(capsys, "content", "check", file).code == 0
        file.write_text(self.FILE.replace('vip")', 'vpi")'))
        assert "there is no segment" in call(capsys, "content", "check", file).err
        said = call(capsys, "content", "check", file, "--json")
        assert (said.code, said.json["problems"][0]["line"]) == (3, 3)

    def test_try(self, valkey: EmbeddedValkey, client: Any, tmp_path: Path, capsys: Any) -> None:
        """On a stored profile: what is shown in each slot, and what holds."""
        (file := tmp_path / "content.toml").write_text(self.FILE)
        client.hset(Keys("t:").meta, "as_of_ms", "5")
        body = {"customer_id": "c", "features": {}, "segments": {"vip": 5}}
        client.set(Keys("t:").profile("c"), pack_versioned(1, 5, body))
        arguments = ("content", "try", file, "--redis", valkey.url, "--prefix", "t:", "--customer")
        said = call(capsys, *arguments, "c", "--json")
        assert said.json["slots"] == {"top": {"name": "vip", "text": "T"}}
        assert said.json["holds"] == {"vip": True, "all": True}
        assert "vip" in call(capsys, *arguments, "c").out
        assert call(capsys, *arguments, "nobody").code == 3
        assert json.dumps(said.json)
