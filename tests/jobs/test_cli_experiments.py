"""`segmill experiments`: how they stand, what is wrong with a file, who gets what, how many customers it takes."""

import re
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from cli_runs import DAY, T0, call

from jobs.runtime.valkey import EmbeddedValkey
from operators.redis_connection import RedisConnection, RedisTarget
from schemas.variant_label import Arm
from schemas.writes import experiment_write, meta_write
from serving.experiments.document import load_experiments
from state.experiments.logic import body
from state.experiments.sums import Outcome
from state.experiments.tally import Tally
from state.experiments.told import Told

NOW = T0 + 10 * DAY
FILE = """\
[holdout]
share = 0.1
[experiment.blend.variant]
control = { share = 3 }
seed = { share = 1, strategy = "seed" }
"""


def tally(rate_of_b: float, shares: str = "1:1", weights: tuple[int, int] = (1, 1)) -> Tally:
    random, found = Random(1), Tally()
    for _ in range(3_000):
        place = random.choices((1, 2), weights)[0]
        orders = int(random.random() < (rate_of_b if place == 2 else 0.1))
        outcome = Outcome(4, random.randrange(2), orders, orders * 2_000)
        segments = ("[new]",) if random.random() < 0.5 else ()
        found.take(None, Told(Arm("x", "ab"[place - 1], place, shares), segments, place == 2, outcome))
    return found


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as server:
        connection = RedisConnection(RedisTarget(server.url))
        connection.send([
            meta_write(NOW, {"currency": "EUR", "rule_version": "r"}),
            experiment_write("good", 1, NOW, body(tally(0.3))),
            experiment_write("same", 1, NOW, body(tally(0.1))),
            experiment_write("torn", 1, NOW, body(tally(0.1, weights=(4, 1)))),
        ])  # fmt: skip
        connection.close()
        yield server.url


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "experiments.toml"
    path.write_text(FILE)
    return path


class TestHowTheyStand:
    def test_all_of_them(self, redis_url: str, capsys: pytest.CaptureFixture[str]) -> None:
        said = call(capsys, "experiments", "--redis", redis_url)
        assert said.code == 0
        good, same, torn = (next(line for line in said.out.splitlines() if line.startswith(name))
                            for name in ("good", "same", "torn"))  # fmt: skip
        assert "3,000" in good
        assert "b better in customers with an order" in good
        assert same.endswith("nothing yet")
        assert "MISMATCH" in torn
        assert torn.endswith("nothing that can be trusted")
        shown = call(capsys, "experiments", "show", "torn", "--redis", redis_url).out
        assert len(re.findall(r" mismatch$", shown, re.MULTILINE)) == 5
        assert [one["experiment"] for one in call(capsys, "experiments", "--redis", redis_url, "--json").json] == [
            "good", "same", "torn",
        ]  # fmt: skip

    def test_one_of_them(self, redis_url: str, capsys: pytest.CaptureFixture[str]) -> None:
        """Each metric of each variant, in the job's currency."""
        said = call(capsys, "experiments", "show", "good", "--redis", redis_url)
        assert said.code == 0
        assert "shares of traffic: as expected" in said.out
        (row,) = re.findall(r"^a \(control\) +([\d,]+) +([\d,]+) +([\d,]+) +([\d,]+) +([\d,]+) +([\d,.]+) EUR +0$",
                            said.out, re.MULTILINE)  # fmt: skip
        customers, shown, _, converted, orders, revenue = (float(one.replace(",", "")) for one in row)
        assert (shown, orders, revenue) == (4 * customers, converted, 20.0 * orders)
        assert re.search(
            r"customers with an order +\d+\.\d+% +\d+\.\d+% +\+\d+\.\d% .* better$", said.out, re.MULTILINE
        )
        assert "no difference seen yet" in said.out

    def test_no_chance_is_none_at_all(self, redis_url: str, capsys: pytest.CaptureFixture[str]) -> None:
        """A p-value too small to print is told as such, and whole in JSON; others stay numbers."""
        said = call(capsys, "experiments", "show", "good", "--redis", redis_url)
        assert re.search(r"customers with an order .* <0\.0001 +better$", said.out, re.MULTILINE)
        assert re.search(r"clicks per impression .* [01]\.\d{4} +no difference seen yet$", said.out, re.MULTILINE)
        found = call(capsys, "experiments", "show", "good", "--redis", redis_url, "--json").json
        assert 0 < found["variants"][1]["compared"][1]["p_value"] < 0.0001

    def test_a_segment_and_another_control(self, redis_url: str, capsys: pytest.CaptureFixture[str]) -> None:
        options = ("--segment", "[new]", "--control", "b", "--redis", redis_url)
        said = call(capsys, "experiments", "show", "good", *options)
        assert "customers in [new]" in said.out
        assert "a beside b" in said.out
        found = call(capsys, "experiments", "show", "good", *options, "--json").json
        assert 1_300 < found["customers"] < 1_700
        assert found["variants"][1]["compared"][1]["verdict"] == "worse"

    def test_as_its_definition_says(self, redis_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Its control, and intervals that are tightest where it was planned: narrower than else."""
        path = tmp_path / "experiments.toml"
        path.write_text(
            "[experiment.good]\nplanned_customers_per_variant = 1_500\n"
            "[experiment.good.variant]\nb = { share = 1 }\na = { share = 1 }\n"
        )
        options = ("experiments", "show", "good", "--redis", redis_url)
        said = call(capsys, *options, "--definitions", path)
        assert "b (control)" in said.out
        assert "intervals are tightest at 3,000 customers of control and variant together" in said.out
        planned = call(capsys, *options, "--definitions", path, "--json").json
        default = call(capsys, *options, "--control", "b", "--json").json
        assert (planned["tightest_at_customers"], default["tightest_at_customers"]) == (3_000, 10_000)
        pairs = zip(planned["variants"][1]["compared"], default["variants"][1]["compared"], strict=True)
        widths = [(one["high"] - one["low"], other["high"] - other["low"]) for one, other in pairs if one["low"]]
        assert widths
        assert all(one < other for one, other in widths)

    @pytest.mark.parametrize(
        "arguments", [("nothing",), ("good", "--segment", "old"), ("good", "--control", "c")], ids=str
    )
    def test_what_is_not_there(
        self, arguments: tuple[str, ...], redis_url: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        said = call(capsys, "experiments", "show", *arguments, "--redis", redis_url)
        assert (said.code, said.out) == (3, "")
        assert "not there" in said.err

    def test_sums_that_no_customers_can_have_are_not_there(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """As over HTTP: neither a report of them nor a fault; the others are listed."""
        wrong, cut = body(tally(0.1)), {"cells": [["a"]], "crossed": {}, "left_out": 0}
        wrong["cells"] = [(*cell[:4], -5, *cell[5:]) for cell in wrong["cells"]]
        with EmbeddedValkey(tmp_path / "valkey") as server:
            connection = RedisConnection(RedisTarget(server.url))
            connection.send([
                meta_write(NOW, {"rule_version": "r"}),
                experiment_write("good", 1, NOW, body(tally(0.3))),
                experiment_write("negative", 1, NOW, wrong),
                experiment_write("cut", 1, NOW, cut),
            ])  # fmt: skip
            connection.close()
            found = call(capsys, "experiments", "--redis", server.url, "--json")
            assert [one["experiment"] for one in found.json] == ["good"]
            for name in ("negative", "cut"):
                said = call(capsys, "experiments", "show", name, "--redis", server.url)
                assert (said.code, said.out) == (3, "")
                assert f"experiment {name}: not there" in said.err

    def test_none_at_all(self, redis_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        with EmbeddedValkey(tmp_path / "valkey") as server:
            connection = RedisConnection(RedisTarget(server.url))
            connection.send([meta_write(NOW, {"rule_version": "r"})])
            connection.close()
            said = call(capsys, "experiments", "--redis", server.url)
        assert said.code == 3
        assert "Nobody was shown" in said.err


class TestMadeUp:
    """Labels say what they like: what no file defines is marked, paged, and can be removed."""

    @pytest.fixture
    def crowded(self, tmp_path: Path) -> Iterator[str]:
        with EmbeddedValkey(tmp_path / "valkey") as server:
            connection = RedisConnection(RedisTarget(server.url))
            names = ["blend", "holdout", *(f"made-up-{number:02}" for number in range(40))]
            few = Tally()
            few.take(None, Told(Arm("x", "a", 1, "1:1"), (), False, Outcome(1, 0, 0, 0)))
            connection.send([meta_write(NOW, {"currency": "EUR", "rule_version": "r"})])
            connection.send([experiment_write(name, 5, NOW, body(few)) for name in names])
            connection.close()
            yield server.url

    def test_are_marked_and_paged(self, crowded: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        options = ("experiments", "--redis", crowded, "--limit", "30")
        said = call(capsys, *options, "--definitions", file)
        lines = said.out.splitlines()
        assert [line.split()[0] for line in lines if " 1 " in line] == [
            "blend", "holdout", *(f"made-up-{n:02}" for n in range(28)),
        ]  # fmt: skip
        assert [line.startswith("made-up") for line in lines] == ["(undefined)" in line for line in lines]
        assert lines[-1] == "and 12 more: --after made-up-27"
        rest = call(capsys, *options, "--after", "made-up-27", "--json").json
        assert [one["experiment"] for one in rest] == [f"made-up-{n}" for n in range(28, 40)]
        assert {one["defined"] for one in rest} == {None}  # without a file nobody knows

    def test_alone(self, crowded: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        options = ("experiments", "--redis", crowded, "--undefined")
        found = call(capsys, *options, "--definitions", file, "--json").json
        assert len(found) == 40
        assert {one["defined"] for one in found} == {False}
        said = call(capsys, *options)
        assert said.code == 2
        assert "--definitions" in said.err

    def test_can_be_forgotten(self, crowded: str, capsys: pytest.CaptureFixture[str]) -> None:
        """All else stays, and a job that writes one again finds no newer version in its way."""
        said = call(capsys, "experiments", "forget", "made-up-00", "nobody", "--redis", crowded)
        assert (said.code, said.out) == (3, "experiment made-up-00: removed\n")
        assert "nobody: not there" in said.err
        assert "writes it again" in said.err
        with RedisTarget(crowded).reached() as client:
            assert sum(1 for _ in client.scan_iter(match="segmill:experiment:*")) == 41
        assert call(capsys, "experiments", "show", "made-up-00", "--redis", crowded).code == 3
        connection = RedisConnection(RedisTarget(crowded))
        assert connection.send([experiment_write("made-up-00", 1, NOW, body(Tally()))]) == (1, 0)
        connection.close()
        assert call(capsys, "experiments", "forget", "made-up-00", "--redis", crowded).code == 0


class TestFiles:
    def test_a_sound_one(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        said = call(capsys, "experiments", "check", file)
        assert said.code == 0
        assert "control 75.0%, seed 25.0%" in said.out
        assert "10.0% of all customers are held out" in said.out

    def test_a_faulty_one(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file.write_text(FILE.replace("share = 3", "share = 0").replace('"seed" }', '"sead" }'))
        said = call(capsys, "experiments", "check", file)
        assert said.code == 3
        assert re.search(r"experiments\.toml:4:.*share must be", said.err)
        assert re.search(r"experiments\.toml:5:.*sead", said.err)
        assert said.err.endswith("2 faults\n")
        assert call(capsys, "experiments", "check", file, "--json").json["ok"] is False

    def test_who_gets_what(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        said = call(capsys, "experiments", "assign", file, *(f"c{n}" for n in range(40)), "--json")
        lines = said.out.splitlines()
        assert len(lines) == 40
        assert {part for line in lines for part in re.findall(r'"holdout": "([^"]+)"', line)} == {"held-out", "others"}
        assert (
            lines
            == call(capsys, "experiments", "assign", file, *(f"c{n}" for n in range(40)), "--json").out.splitlines()
        )


class TestPlans:
    def test_by_hand(self, capsys: pytest.CaptureFixture[str]) -> None:
        """From 10 % to 15 %: (1.960 + 0.842)^2 (0.1 * 0.9 + 0.15 * 0.85) / 0.05^2 = 682.9."""
        said = call(capsys, "experiments", "plan", "--share", 0.1, "--lift", 0.5, "--json")
        assert said.json["customers_per_variant"]["one_look"] == 683
        assert 1.5 * 683 < said.json["customers_per_variant"]["any_look"] < 2.5 * 683

    def test_say_what_to_write_into_the_file(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """And the file takes it."""
        options = ("experiments", "plan", "--share", 0.1, "--lift", 0.5)
        needed = call(capsys, *options, "--json").json["customers_per_variant"]["any_look"]
        (line,) = re.findall(r"^  (planned_customers_per_variant = \d+)$", call(capsys, *options).out, re.MULTILINE)
        file.write_text(f"[experiment.x]\n{line}\n[experiment.x.variant]\na = {{ share = 1 }}\nb = {{ share = 1 }}\n")
        assert load_experiments(file).planned("x") == needed

    def test_of_more_than_everybody(self, capsys: pytest.CaptureFixture[str]) -> None:
        said = call(capsys, "experiments", "plan", "--share", 0.9, "--lift", 0.5)
        assert said.code == 2
        assert "more than everybody" in said.err
