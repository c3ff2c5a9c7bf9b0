"""Experiments over HTTP: a customer's variants, what they change, and how an experiment stands."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.runtime.valkey import EmbeddedValkey
from schemas.variant_label import Arm, arms_of
from schemas.writes import experiment_write
from state.experiments.logic import body
from state.experiments.sums import Outcome
from state.experiments.tally import Tally
from state.experiments.told import Told
from tests.serving.served import Served, serve
from tests.serving.small_shop import NOW_MS, send

FILE = """\
[experiment.blend]
planned_customers_per_variant = 4_000

[experiment.blend.variant.control]
share = 50
parameters = { columns = 3 }

[experiment.blend.variant.seed]
share = 50
strategy = "seed"
parameters = { columns = 6 }

[experiment.over]
until = 2020-01-01T00:00:00Z
[experiment.over.variant]
a = { share = 1 }
b = { share = 1 }
"""


@pytest.fixture(scope="module")
def shop(valkey: EmbeddedValkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("experiments")
    (folder / "experiments.toml").write_text(FILE)
    (folder / "serve.toml").write_text(f'experiments_file = "{folder / "experiments.toml"}"\n')
    options = ("--config", str(folder / "serve.toml"), "--without-keys", "--without-kafka", "--redis", valkey.url)
    with serve(*options) as server:
        server.until("/readyz", 200)
        yield server


def tally(*told: Told) -> Tally:
    found = Tally()
    for one in told:
        found.take(None, one)
    return found


def stood(valkey: EmbeddedValkey, version: int, *told: Told) -> None:
    send(valkey.url, experiment_write("blend", version, NOW_MS, body(tally(*told))))


class TestRecommendations:
    def test_a_variant_ranks_and_says_so(self, shop: Served) -> None:
        strategies = {}
        for number in range(30):
            found = shop.ask(f"/v1/recommendations/c-{number}").json
            (arm,) = arms_of(found["variant"])
            assert (arm.experiment, arm.shares) == ("blend", "1:1")
            strategies[arm.variant] = found["strategy"]
        assert strategies == {"control": "personal", "seed": "seed"}

    def test_who_names_a_strategy_is_in_no_experiment_with_one(self, shop: Served) -> None:
        assert shop.ask("/v1/recommendations/c-1?strategy=seed").json["variant"] is None

    def test_without_experiments_there_is_no_variant(self, served: Served) -> None:
        assert served.ask("/v1/recommendations/c-1").json["variant"] is None
        assert served.ask("/v1/experiments").json == {
            "experiments": [], "holdout_share": 0.0, "experiments_version": None,
        }  # fmt: skip


class TestAssignments:
    def test_are_those_of_the_recommendations(self, shop: Served) -> None:
        for number in range(10):
            found = shop.ask(f"/v1/assignments/c-{number}").json
            assert found["variant"] == shop.ask(f"/v1/recommendations/c-{number}").json["variant"]
            (one,) = found["experiments"]
            assert one["parameters"] == {"columns": {"control": 3, "seed": 6}[one["variant"]]}

    def test_the_time_that_a_page_sends_decides_nothing(self, shop: Served) -> None:
        """A clock that is wrong shows nobody an experiment that is over."""
        in_2019_ms = 1_550_000_000_000
        found = shop.ask(f"/v1/recommendations/c-1?time_ms={in_2019_ms}").json["variant"]
        assert found == shop.ask("/v1/assignments/c-1").json["variant"]
        assert "over=" not in found

    def test_definitions(self, shop: Served) -> None:
        blend, over = shop.ask("/v1/experiments").json["experiments"]
        assert (blend["running"], blend["variants"]) == (True, {"control": 1, "seed": 1})
        assert not over["running"]


class TestReports:
    def test_how_it_stands(self, shop: Served, valkey: EmbeddedValkey) -> None:
        """And the next answer is another one, once the job has written it."""
        assert shop.ask("/v1/experiments/blend").status == 404
        one = Told(Arm("blend", "seed", 2, "1:1"), ("new",), False, Outcome(5, 1, 1, 1_000))
        stood(valkey, 1, one)
        found = shop.until("/v1/experiments/blend", 200).json
        assert (found["customers"], found["control"], found["as_of_ms"]) == (1, "control", NOW_MS)
        assert (found["tightest_at_customers"], found["defined"]) == (8_000, True)
        assert [(variant["variant"], variant["customers"]) for variant in found["variants"]] == [
            ("control", 0), ("seed", 1),
        ]  # fmt: skip
        for odd, there in (("segment=old", "new"), ("control=none", "seed"), ("segment=new&control=none", "seed")):
            got = shop.ask(f"/v1/experiments/blend?{odd}")
            assert (got.status, got.json["detail"].endswith(f"there are {there}")) == (404, True)
        stood(valkey, 2, one, one, one)
        for _ in range(200):
            if shop.ask("/v1/experiments/blend?segment=new").json["customers"] == 3:
                return
        raise AssertionError("the old answer stayed")

    def test_nothing_is_better_where_shares_were_not_kept(self, shop: Served, valkey: EmbeddedValkey) -> None:
        """Nor worse: who is missing may be why."""
        control, seed = (
            Told(Arm("torn", name, place, "1:1"), (), False, Outcome(5, 1, orders, 1_000 * orders))
            for place, (name, orders) in enumerate((("control", 0), ("seed", 1)), 1)
        )
        found = {}
        for version, count in ((1, 1_000), (2, 3_000)):
            mixed = tally(*[control] * 900, *[control._replace(outcome=seed.outcome)] * 100)
            for number in range(count):
                mixed.take(None, seed if number % 3 else seed._replace(outcome=control.outcome))
            send(valkey.url, experiment_write("torn", version, NOW_MS, body(mixed)))
            wanted, until_s = 1_000 + count, time.monotonic() + 10
            while (got := shop.ask("/v1/experiments/torn")).status != 200 or got.json["customers"] != wanted:
                assert time.monotonic() < until_s
            found[got.json["sample_ratio"]["verdict"]] = {
                one["metric"]: one["verdict"] for one in got.json["variants"][1]["compared"]
            }
        assert found["as expected"]["conversion"] == "better"
        assert set(found["mismatch"].values()) == {"mismatch"}

    def test_of_what_a_label_made_up(self, shop: Served, valkey: EmbeddedValkey, served: Served) -> None:
        """The report says that no file defines it; a server without a file does not know."""
        one = Told(Arm("made-up", "a", 1, "50:50"), (), False, Outcome(5, 1, 1, 1_000))
        send(valkey.url, experiment_write("made-up", 1, NOW_MS, body(tally(one))))
        found = shop.until("/v1/experiments/made-up", 200).json
        assert (found["defined"], found["tightest_at_customers"]) == (False, 10_000)
        assert "made-up" not in [one["experiment"] for one in shop.ask("/v1/experiments").json["experiments"]]
        assert served.until("/v1/experiments/made-up", 200).json["defined"] is None

    def test_of_what_nobody_was_shown(self, shop: Served) -> None:
        got = shop.ask("/v1/experiments/nothing")
        assert (got.status, got.headers["content-type"]) == (404, "application/problem+json")

    def test_only_admins_see_results(self, valkey: EmbeddedValkey, keys: tuple[Path, dict[str, str]]) -> None:
        path, known = keys
        with serve("--keys", str(path), "--without-kafka", "--redis", valkey.url) as server:
            statuses = {
                name: server.ask("/v1/experiments/blend", authorization=f"Bearer {known[name]}").status
                for name in ("read", "ingest", "admin")
            }
            assert statuses == {"read": 403, "ingest": 403, "admin": 200}
            assert server.ask("/v1/assignments/c", authorization=f"Bearer {known['read']}").status == 200


class TestFaultyFiles:
    def test_are_told_at_the_start(self, valkey: EmbeddedValkey, tmp_path: Path) -> None:
        (tmp_path / "e.toml").write_text(FILE.replace('"seed"', '"sead"'))
        (tmp_path / "serve.toml").write_text(f'experiments_file = "{tmp_path / "e.toml"}"\n')
        with (
            pytest.raises(AssertionError, match=r"e\.toml:10:.*sead"),
            serve("--config", str(tmp_path / "serve.toml"), "--without-keys", "--without-kafka", "--redis", valkey.url),
        ):
            pass
