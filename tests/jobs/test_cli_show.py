"""`segmill show` and `segmill export` on a small store: odd ids, currencies, order, JSON."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_runs import DAY, T0, call

from jobs.commands import console
from jobs.runtime.valkey import SNAPSHOT, EmbeddedValkey
from jobs.runtime.workspace import workspace
from operators.redis_connection import RedisConnection, RedisTarget
from schemas.writes import meta_write, profile_tombstone, profile_write, similar_write

ODD = "[bold]a[/] :smile: \\ b"
"""An id that means itself, and neither style nor emoji."""
IDS = ("b", "a", "ä", "Z", ODD, "x" * 300, "erased")


@pytest.fixture(scope="module")
def left() -> Iterator[Path]:
    """A folder such as a run leaves, amounts in yen."""
    features = {"orders_30d": 2, "revenue_30d_cents": 1234567, "revenue_total_cents": 1234567, "session_ms_1d": 40_000}
    features |= {"cart_open": False, "top_categories": ["[red]tea[/red]"], "last_seen_ms": T0, "recency_ms": DAY}
    with workspace() as folder, EmbeddedValkey(folder / "v") as valkey:
        connection = RedisConnection(RedisTarget(valkey.url))
        for name in IDS:
            body = {"customer_id": name, "features": features, "segments": {"buyers": T0}}
            connection.send([profile_write(name, 1, T0, body, {"buyers": T0})])
        connection.send([profile_tombstone("erased", 2, T0, ["buyers"])])
        for item in ("p2", "p10", ODD):
            connection.send([similar_write("bought-with", item, 1, T0, [("[p]", 0.5, 3), ("p2", 0.25, 1)])])
        connection.send([similar_write("viewed-with", "p2", 1, T0, [("p10", 0.1234564, 1)])])
        connection.send([meta_write(T0, {"currency": "JPY"})])
        valkey.save(folder / SNAPSHOT)
        yield folder


class TestCustomer:
    def test_amounts_have_the_places_of_their_currency(self, left: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Yen have none."""
        said = call(capsys, "show", "customer", "a", "--from", left)
        assert (said.code, said.err) == (0, "")
        assert "1,234,567 JPY" in said.out
        assert "12,345.67" not in said.out
        assert "40 s" in said.out
        assert "buyers since 2025-03-01 00:00:00Z" in said.out

    def test_odd_ids_mean_themselves(self, left: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Brackets are not eaten, and nothing becomes a picture."""
        said = call(capsys, "show", "customer", ODD, "--from", left)
        assert f"customer {ODD}  as of" in said.out
        assert "[red]tea[/red]" in said.out

    def test_json(self, left: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """The profile as it is stored, and nothing else on standard output."""
        said = call(capsys, "show", "customer", "ä", "--from", left, "--json")
        assert said.json["customer_id"] == "ä"
        assert said.json["segments"] == {"buyers": T0}

    @pytest.mark.parametrize("name", ["erased", "nobody", "B"])
    def test_not_there(self, name: str, left: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Exit code 3, and a word on why that may be."""
        said = call(capsys, "show", "customer", name, "--from", left, "--json")
        assert (said.code, said.out) == (3, "")
        assert f"customer {name}: not there" in said.err

    def test_a_redis_without_results(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Says so, and names the prefix."""
        with workspace() as folder, EmbeddedValkey(folder / "v") as valkey:
            said = call(capsys, "show", "customer", "a", "--redis", valkey.url, "--prefix", "mine:")
        assert said.code == 1
        assert "holds nothing under the prefix 'mine:'" in said.err


class TestItem:
    def test_lists(self, left: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Both relations, odd ids as they are."""
        said = call(capsys, "show", "item", "p2", "--from", left)
        assert said.out.index("viewed-with") < said.out.index("bought-with")
        assert "0.500        3  [p]" in said.out
        assert f"\n{ODD}\n" in "\n" + call(capsys, "show", "item", ODD, "--from", left).out

    def test_json_and_limit(self, left: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Scores as stored."""
        said = call(capsys, "show", "item", "p2", "--from", left, "--json", "--limit", 1)
        assert said.json == {
            "item_id": "p2",
            "viewed-with": [{"item_id": "p10", "score": 0.1234564, "support": 1}],
            "bought-with": [{"item_id": "[p]", "score": 0.5, "support": 3}],
        }
        said = call(capsys, "show", "item", "p10", "--relation", "viewed-with", "--from", left)
        assert said.code == 3


class TestSegment:
    def test_members(self, left: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """How many in all, and how to see more."""
        said = call(capsys, "show", "segment", "buyers", "--from", left, "--limit", 2)
        assert "buyers  6 members" in said.out
        assert "and 4 more" in said.out
        said = call(capsys, "show", "segment", "buyers", "--from", left, "--json")
        assert said.json["count"] == len(said.json["members"]) == 6
        said = call(capsys, "show", "segment", "byers", "--from", left)
        assert said.code == 3
        assert "Segments with members: buyers." in said.err


class TestExport:
    def test_order_and_bytes(self, left: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """By code point of the id; keys in order; the same again; nothing of the erased."""
        said = call(capsys, "export", "--from", left, "--out", tmp_path, "--json")
        assert said.json == {"profiles.jsonl": 6, "similar.jsonl": 4, "segments.jsonl": 1, "experiments.jsonl": 0}
        profiles = (tmp_path / "profiles.jsonl").read_text(encoding="utf-8").splitlines()
        names = [json.loads(line)["customer_id"] for line in profiles]
        assert names == sorted(set(IDS) - {"erased"})
        assert all(line == json.dumps(json.loads(line), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
                   for line in profiles)  # fmt: skip
        similar = [json.loads(line) for line in (tmp_path / "similar.jsonl").read_bytes().splitlines()]
        assert [(line["relation"], line["item_id"]) for line in similar] == [
            ("bought-with", ODD),
            ("bought-with", "p10"),
            ("bought-with", "p2"),
            ("viewed-with", "p2"),
        ]
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        said = call(capsys, "export", "--from", left, "--out", tmp_path)
        assert said.out == ""
        assert f"{tmp_path}/profiles.jsonl: 6 lines" in said.err
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


class TestWidth:
    def test_a_narrow_terminal_loses_nothing(
        self, left: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What does not fit goes on in the next line; in a pipe lines are whole and end without blanks."""
        said = call(capsys, "show", "segment", "buyers", "--from", left)
        assert f"  {'x' * 300} since 2025-03-01 00:00:00Z" in said.out.splitlines()
        assert not any(line.endswith(" ") for line in said.out.splitlines())
        monkeypatch.setenv("COLUMNS", "40")
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
        console.results.cache_clear()
        table = console.grid("item", "score", right=("score",))
        table.add_row("y" * 60, "0.5")
        console.show_table(table)
        shown = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
        assert shown.count("y") == 60
        assert "0.5" in shown
        assert all(len(line) <= 40 for line in shown.splitlines())


class TestSources:
    """One on the command line wins over the Redis that the environment names."""

    @pytest.mark.parametrize("command", [("export", "--out", "export"), ("show", "customer", "c")])
    def test_from_wins_over_the_environment(
        self,
        command: tuple[str, ...],
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Without asking that Redis: what is missing here is the folder."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("SEGMILL_REDIS_URL", "redis://127.0.0.1:1")
        said = call(capsys, *command, "--from", "run")
        assert said.code == 1
        assert "redis.rdb: there is none" in said.err.replace("\n", " ")
        assert "127.0.0.1:1" in call(capsys, *command).err

    @pytest.mark.parametrize("command", [("export", "--out", "export"), ("show", "customer", "c")])
    def test_two_on_the_command_line(self, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
        """Are wrong usage."""
        said = call(capsys, *command, "--from", "run", "--redis", "redis://127.0.0.1:1")
        assert said.code == 2
        assert "two sources" in said.err
