"""`segmill population` on a small store whose numbers are known: words, JSON, the picture, and what can be wrong."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cli_runs import DAY, T0, call

from jobs.commands import population
from jobs.outputs import MODELS, SEGMENT_CHANGES
from jobs.runtime.valkey import SNAPSHOT, EmbeddedValkey
from jobs.runtime.workspace import workspace
from operators.redis_connection import RedisConnection, RedisTarget
from schemas.changes import Cause, SegmentChange
from schemas.writes import meta_write, model_write, profile_tombstone, profile_write
from state.population.calibration import Line
from state.population.default_axes import DEFAULT_AXES
from state.population.model import Cluster, ClusterModel, ModelQuality, Trait
from state.population.percentiles import Percentiles
from state.population.population import Event
from state.population.reliability import Quality
from state.population.scales import scale_of
from state.population.scaling import Scaling
from state.population.score_inputs import INPUTS
from state.population.score_version import Score, ScoreVersion
from state.population.telling import event_record, model_writes
from state.population.view import PopulationView

NOW = T0 + 10 * DAY
INF = float("inf")
ODD = "big $pender$ [b]"
"""A name that means itself, and neither style nor formula."""
LOOKERS, SPENDERS, GONE = 3, 12, 4
VIEWS = {"a": 1, "b": 2, "c": 3, "d": 4}
"""Customers who look, and how much; `e` and `f` spend, and `x` was erased."""


def clusters(*sizes: tuple[int, int, str | None]) -> ClusterModel:
    """Clusters of these ids, sizes and pinned names; the first one looks, the others spend."""
    axes = tuple(axis for axis in DEFAULT_AXES if axis.name in ("views", "spend"))
    total = sum(size for _, size, _ in sizes)
    made = tuple(
        Cluster(
            id_, (1.5, 0.0) if at == 0 else (0.0, 3.0 + at), size, size / total, 0.5, LOOKERS,
            f"label {id_}", (Trait("views", 1.26, "many views"), Trait("spend", -0.49, "low spend")), name,
        )
        for at, (id_, size, name) in enumerate(sizes)
    )  # fmt: skip
    scaling = Scaling(axes, (0.0, 0.0), (1.0, 1.0), (9.0, 9.0))
    quality = ModelQuality(0.4567, 0.89, 0.75, total)
    return ClusterModel(5, NOW - DAY, scaling, made, 1.0, 1.1, quality)


def view(number: int, at_ms: int, model: ClusterModel | None) -> PopulationView:
    """Amounts at two points, ages at one, and one score of two."""
    questions: dict[tuple[str, bool], tuple[int, dict[float, int]]] = {
        ("revenue_total_cents", True): (41, {50: 250, 80: 1_250_000}),
        ("recency_ms", False): (62, {50: 36 * DAY // 24}),
    }
    percentiles = {}
    for (feature, positive), (count, points) in questions.items():
        buckets = tuple(scale_of(feature).bucket(value, at_ms) for value in points.values())
        percentiles[feature, positive] = Percentiles(
            feature=feature, count=count, points=tuple(points), buckets=buckets, positive=positive
        )
    zeros = (0.0,) * len(INPUTS)
    judged = Quality(525.4, 0.108, 0.7785, 0.02, 0.0303, 0.0865)
    scores = ScoreVersion(1, at_ms, (Score(zeros, Line(), 960, judged), Score(zeros, Line(), 1_273, None)))
    return PopulationView(number, at_ms, percentiles, model, scores if model else None)


def change(customer: str, segment: str, turned: str, at_ms: int) -> bytes:
    made = SegmentChange(
        f"{customer}{segment}{at_ms}", customer, segment, turned, T0 + at_ms, T0, Cause("time"), "r", {}
    )
    return msgspec.json.encode(made) + b"\n"


OLD = clusters((LOOKERS, 60, None), (GONE, 40, None))
NEW = clusters((LOOKERS, 30, None), (SPENDERS, 10, ODD))
RECORDS: list[tuple[Event, PopulationView | None]] = [
    (Event(T0, "born", LOOKERS), None),
    (Event(T0, "born", GONE), None),
    (Event(T0, "view", view=1), view(1, T0, OLD)),
    (Event(T0 + DAY, "view", view=2), view(2, T0 + DAY, OLD)),
    (Event(NOW, "drift", features={"views_90d": 0.314, "device": INF}, kl={"views_90d": 0.16, "device": INF}), None),
    (Event(NOW, "drift"), None),
    (Event(NOW, "drift", habits={"spend": (0.4, 0.1), "carts per view": (0.512, 0.2449)}), None),
    (Event(NOW, "split", SPENDERS, LOOKERS), None),
    (Event(NOW, "merged", GONE, LOOKERS), None),
    (Event(NOW, "view", view=7), view(7, NOW, NEW)),
]
CHANGES = (
    change("a", "browsers", "entered", 0),
    change("a", "browsers", "left", DAY),
    change("a", "buyers", "entered", DAY + 5),
    change("b", "browsers", "entered", 0),
    change("b", "browsers", "left", DAY),
)


def profile(customer: str, features: dict[str, Any], cluster: int | None) -> bytes:
    body = {"customer_id": customer, "features": features, "segments": {}}
    return profile_write(customer, 1, NOW, body if cluster is None else body | {"cluster": {"id": cluster}})


@pytest.fixture(scope="module")
def store() -> Iterator[tuple[Path, str]]:
    """A folder such as a run leaves, and the address of a Redis with the same: amounts have three places."""
    with workspace() as folder, EmbeddedValkey(folder / "v") as valkey:
        connection = RedisConnection(RedisTarget(valkey.url))
        connection.send(model_writes(view(7, NOW, NEW)))
        connection.send([profile(name, {"views_90d": views}, LOOKERS) for name, views in VIEWS.items()])
        # `e` says no cluster, and `f` one that is no more: both are nearest to those who spend
        connection.send(
            [profile("e", {"revenue_90d_cents": 9_000}, None), profile("f", {"revenue_90d_cents": 5_000}, GONE)]
        )
        connection.send([profile("x", {}, LOOKERS), profile_tombstone("x", 2, NOW, [])])
        connection.send([meta_write(NOW, {"currency": "KWD"})])
        valkey.save(folder / SNAPSHOT)
        (folder / MODELS).write_bytes(b"".join(event_record(*one) + b"\n" for one in RECORDS))
        (folder / SEGMENT_CHANGES).write_bytes(b"".join(CHANGES))
        yield folder, valkey.url


@pytest.fixture
def left(store: tuple[Path, str]) -> Path:
    return store[0]


class TestWords:
    def test_everything_is_shown(self, left: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Clusters, quality, thresholds, scores and what happened, each with its numbers."""
        said = call(capsys, "population", "--from", left)
        assert (said.code, said.err) == (0, "")
        lines = [" ".join(line.split()) for line in said.out.splitlines()]
        assert lines[0] == "population view 7 as of 2025-03-11 00:00:00Z"
        assert "clusters 2, of 1 broad kind" in lines
        looking = next(at for at, line in enumerate(lines) if line.startswith("3 3 30 75.0% "))
        assert lines[looking].endswith(" label 3")
        assert lines[looking + 1] == "many views (views +1.26)"
        assert next(line for line in lines if line.startswith("12 3 10 25.0% ")).endswith(f" {ODD}")
        assert "their quality version 5 as of 2025-03-10 00:00:00Z, judged on 40 customers" in lines
        assert "silhouette 0.457 -1 to 1, the more the better" in lines
        assert "Davies-Bouldin 0.890 the less the better" in lines
        assert "stability 0.750 1: customers lie as in the version before" in lines
        assert "buys_7d 960 525 0.778 0.030 0.086 10.8%" in lines
        assert "lapses_30d 1,273 - - - - -" in lines

    def test_thresholds_are_in_their_units(self, left: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Amounts with the places of their currency, ages as lengths of time."""
        lines = call(capsys, "population", "--from", left).out.splitlines()
        money = next(line for line in lines if line.startswith("revenue_total > 0"))
        assert money.split()[3:7] == ["41", "50", "%:", "0.250"]
        top = float(money.split()[-2].replace(",", ""))
        assert 1_250 <= top <= 1_250 * (1 + 1 / 256)
        assert money.endswith(" KWD")
        age = next(line for line in lines if line.startswith("recency_ms"))
        assert age.split()[1:] == ["62", "50", "%:", "1.5", "d"]

    def test_what_happened(self, left: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """The newest first, with the names that clusters had last."""
        out = call(capsys, "population", "--from", left).out
        happened = [" ".join(line.split()) for line in out.split("what happened")[1].splitlines()[1:]]
        assert happened == [
            "2025-03-11 00:00:00Z merged 4 (label 4) into 3 (label 3)",
            f"2025-03-11 00:00:00Z split 12 ({ODD}) from 3 (label 3)",
            "2025-03-11 00:00:00Z drift customers do not go on as they did: carts per view (0.51, now 0.24), "
            "spend (0.40, now 0.10)",
            "2025-03-11 00:00:00Z drift customers lie nearer to the centres, or farther away, than they did",
            "2025-03-11 00:00:00Z drift device (nobody has it), views_90d (PSI 0.31)",
            "2025-03-01 00:00:00Z born 4 (label 4)",
            "2025-03-01 00:00:00Z born 3 (label 3)",
        ]
        some = call(capsys, "population", "--from", left, "--limit", 1).out
        assert "the newest first; 6 more: raise --limit" in some
        assert some.splitlines()[-1].split()[2:4] == ["merged", "4"]

    def test_sizes_over_time(self, left: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A new cluster has none before; the others are measured by the largest that there was."""
        out = call(capsys, "population", "--from", left).out
        assert "since 2025-03-01" in out
        assert f"25.0%  ···········▃      {ODD}" in out
        assert "75.0%  ▇▇▇▇▇▇▇▇▇▇▇█      label 3" in out


class TestJson:
    def test_numbers(self, left: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """As they are stored; the packed model is not among them."""
        told = call(capsys, "population", "--from", left, "--json", "--limit", 3).json
        assert (told["view"], told["as_of_ms"], told["currency"]) == (7, NOW, "KWD")
        assert [(one["id"], one["size"], one["share"], one["name"]) for one in told["clusters"]] == [
            (LOOKERS, 30, 0.75, "label 3"),
            (SPENDERS, 10, 0.25, ODD),
        ]
        assert told["quality"]["silhouette"] == 0.4567
        assert told["axes"] == ["views", "spend"]
        assert told["percentiles"]["revenue_total_cents > 0"]["points"]["50"] == 250
        assert told["scores"]["buys_7d"]["quality"]["ece"] == 0.0303
        assert [one["kind"] for one in told["happened"]] == ["merged", "split", "drift"]
        assert told["sizes"] == [
            {"at_ms": T0, "shares": {"3": 0.6, "4": 0.4}},
            {"at_ms": NOW, "shares": {"3": 0.75, "12": 0.25}},
        ]


class TestPlot:
    def test_svg(self, left: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Every customer that is left in the colour of a cluster, all names as they are, and who went where."""
        said = call(capsys, "population", "--from", left, "--plot", tmp_path / "p.svg", "--json")
        assert said.json["view"] == 7
        assert "p.svg" in said.err
        assert [path.name for path in tmp_path.iterdir()] == ["p.svg"]
        drawn = (tmp_path / "p.svg").read_text(encoding="utf-8")
        assert ">6 customers by cluster" in drawn
        for words in ("3  label 3", "4  label 4  (earlier)", f"12  {ODD}", "browsers (2)",
                      "buyers (0)", "sizes of the clusters over time", "left (how often)"):  # fmt: skip
            assert f">{words}<" in drawn
        assert drawn.count("of the variance): ") >= 2
        dots = [line.split("fill: ")[1][:7] for line in drawn.splitlines() if "fill-opacity: 0.7" in line]
        assert sorted(map(dots.count, set(dots))) == [2, 4]
        call(capsys, "population", "--from", left, "--plot", tmp_path / "again.svg")
        assert (tmp_path / "again.svg").read_text(encoding="utf-8") == drawn

    def test_png(self, left: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A picture, and not an empty one; what it replaces is gone."""
        out = tmp_path / "p.PNG"
        out.write_bytes(b"old")
        assert call(capsys, "population", "--from", left, "--plot", out).code == 0
        assert out.read_bytes().startswith(b"\x89PNG")
        assert out.stat().st_size > 20_000

    def test_some_of_many(
        self, left: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Not more than can be seen, those with the least hashes."""
        monkeypatch.setattr(population, "DRAWN", 2)
        call(capsys, "population", "--from", left, "--plot", tmp_path / "p.svg")
        assert "2 customers by cluster" in (tmp_path / "p.svg").read_text(encoding="utf-8")

    @pytest.mark.parametrize("name", ["p.gif", "p", "nowhere/p.svg"])
    def test_no_such_file(self, name: str, left: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Wrong usage, and what would be right; nothing is read."""
        said = call(capsys, "population", "--from", left / "none", "--plot", tmp_path / name)
        assert said.code == 2
        assert ("no such folder" if "/" in name else ".png, .svg, .pdf") in said.err


class TestSources:
    def test_redis(self, store: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
        """Has what is so now; what was before is in the file."""
        folder, url = store
        told = call(capsys, "population", "--redis", url, "--json").json
        assert told["view"] == 7
        assert told["happened"] == []
        assert told["sizes"] == [{"at_ms": NOW, "shares": {"3": 0.75, "12": 0.25}}]
        said = call(capsys, "population", "--redis", url)
        assert "no alarm, birth or death is known (see --models)" in said.out
        assert "·" not in said.out
        told = call(capsys, "population", "--redis", url, "--models", folder / MODELS, "--json").json
        assert len(told["happened"]) == 7
        (moved,) = [one for one in told["happened"] if "features" in one]
        assert moved["features"] == {"views_90d": 0.314, "device": None}
        assert moved["kl"] == {"views_90d": 0.16, "device": None}
        assert len(told["sizes"]) == 2

    def test_no_population(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Exit code 3, and how to get one. One that has thresholds alone is shown, and drawn."""
        with workspace() as folder, EmbeddedValkey(folder / "v") as valkey:
            connection = RedisConnection(RedisTarget(valkey.url))
            connection.send([meta_write(NOW, {"currency": "EUR"})])
            said = call(capsys, "population", "--redis", valkey.url)
            assert (said.code, said.out) == (3, "")
            assert "segmill run --population" in said.err
            connection.send(model_writes(view(1, T0, None)))
            said = call(capsys, "population", "--redis", valkey.url, "--plot", tmp_path / "p.svg")
            assert said.code == 0
            assert "no clusters yet" in said.out
            assert "no scores yet" in said.out
            assert "50 %: 2.50 EUR" in said.out
            assert "no clusters yet" in (tmp_path / "p.svg").read_text(encoding="utf-8")
            connection.send(
                [model_write("clusters", 2, NOW, {"clusters": [], "quality": {}, "model": b"\x92\x63\x90"})]
            )
            said = call(capsys, "population", "--redis", valkey.url, "--plot", tmp_path / "p.svg")
            assert said.code == 1
            assert "the clusters cannot be drawn: " in said.err

    def test_a_job_that_begins_anew(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Its views count from 1, and take the place of those that a job before has left; of a replay, in the end."""
        with workspace() as folder, EmbeddedValkey(folder / "v") as valkey:
            connection = RedisConnection(RedisTarget(valkey.url))
            connection.send([meta_write(NOW, {"currency": "EUR"})])
            for number, at_ms, shown in ((586, T0, 586), (1, T0 - DAY, 586), (2, T0 + DAY, 2), (3, T0 + DAY, 3)):
                connection.send(model_writes(view(number, at_ms, OLD)))
                told = call(capsys, "population", "--redis", valkey.url, "--json").json
                assert told["view"] == shown
            body = {"features": {}}
            connection.send([model_write("percentiles", 2**62, NOW, body)])  # as an earlier release wrote it
            assert call(capsys, "population", "--redis", valkey.url, "--json").json["view"] == 2**62

    def test_no_run(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Says where it looked."""
        said = call(capsys, "population", "--from", tmp_path)
        assert said.code == 1
        assert "redis.rdb: there is none" in said.err.replace("\n", " ")

    def test_files_of_something_else(self, left: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """File and line are named; nothing is drawn."""
        said = call(capsys, "population", "--from", left, "--models", left / SEGMENT_CHANGES)
        assert said.code == 1
        assert f"{SEGMENT_CHANGES}, line 1: not what a run leaves in {MODELS}" in said.err.replace("\n", "")
        out = tmp_path / "p.svg"
        said = call(capsys, "population", "--from", left, "--changes", left / MODELS, "--plot", out)
        assert said.code == 1
        assert f"line 1: not what a run leaves in {SEGMENT_CHANGES}" in said.err
        assert not out.exists()
        broken = tmp_path / "models.jsonl"
        broken.write_bytes((left / MODELS).read_bytes() + json.dumps({"at_ms": "x"}).encode())
        said = call(capsys, "population", "--from", left, "--models", broken)
        assert f"line {len(RECORDS) + 1}: " in said.err
