"""Two exports held against each other."""

import json
from pathlib import Path
from typing import Any

import pytest
from cli_runs import Said, call

from jobs.verify import DRIFTING, first_difference
from state.rules.features import FEATURES

PROFILES: list[dict[str, Any]] = [
    {"customer_id": name, "as_of_ms": 5, "features": {"orders_total": 1, "views_1d": 2}, "segments": ["a"]}
    for name in ("c1", "c2", "c3")
]
SEGMENTS: list[dict[str, Any]] = [{"segment": "a", "members": ["c1", "c2", "c3"]}]
SIMILAR: list[dict[str, Any]] = [
    {"relation": "bought-with", "item_id": "p1", "neighbours": [{"item_id": "p2", "score": 0.5, "support": 3}]},
    {"relation": "viewed-with", "item_id": "p1", "neighbours": []},
]
EXPERIMENTS: list[dict[str, Any]] = [
    {"experiment": "blend", "variant": "seed", "place": 2, "shares": "1:1", "segment": segment, "customers": 3}
    for segment in ("", "a")
]


def export(folder: Path, **files: list[dict[str, Any]]) -> Path:
    """An export; files that are not given are as above."""
    folder.mkdir()
    usual = {"profiles": PROFILES, "segments": SEGMENTS, "similar": SIMILAR, "experiments": EXPERIMENTS}
    for name, lines in (usual | files).items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def profile(number: int, **changes: Any) -> list[dict[str, Any]]:
    """The profiles, one of them changed."""
    return [line | changes if index == number else line for index, line in enumerate(PROFILES)]


def verified(capsys: pytest.CaptureFixture[str], a: Path, b: Path, *options: str) -> Said:
    return call(capsys, "verify", a, b, *options)


class TestEqual:
    def test_the_same(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Exit code 0, and how much there was."""
        said = verified(capsys, export(tmp_path / "a"), export(tmp_path / "b"), "--json")
        assert (said.code, said.json["equal"]) == (0, True)
        assert said.json["files"]["profiles.jsonl"]["lines_a"] == 3

    def test_nothing_at_all(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Is equal to nothing."""
        empty: dict[str, Any] = {"profiles": [], "segments": [], "similar": [], "experiments": []}
        assert verified(capsys, export(tmp_path / "a", **empty), export(tmp_path / "b", **empty)).code == 0


class TestDifferent:
    @pytest.mark.parametrize(
        ("file", "lines", "key", "field", "b"),
        [
            ("profiles", profile(1, features={"orders_total": 2, "views_1d": 2}), "c2", "features.orders_total", 2),
            ("profiles", profile(1, features={"views_1d": 2}), "c2", "features.orders_total", None),
            ("profiles", profile(2, as_of_ms=6), "c3", "as_of_ms", 6),
            ("profiles", profile(0, segments=["a", "b"]), "c1", "segments", "b"),
            ("profiles", PROFILES[1:], "c1", "", "missing"),
            ("profiles", [*PROFILES, PROFILES[0] | {"customer_id": "c4"}], "c4", "", "there"),
            ("segments", [{"segment": "a", "members": ["c1", "c3"]}], "a", "members", None),
            ("similar", [SIMILAR[0] | {"neighbours": []}, SIMILAR[1]], "bought-with p1", "neighbours[0]", None),
            ("experiments", [EXPERIMENTS[0], EXPERIMENTS[1] | {"customers": 4}], "blend seed 1:1 a", "customers", 4),
        ],
    )
    def test_the_first_is_told_down_to_the_field(
        self,
        file: str,
        lines: list[dict[str, Any]],
        key: str,
        field: str,
        b: Any,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Exit code 3; the other files are compared all the same."""
        said = verified(capsys, export(tmp_path / "a"), export(tmp_path / "b", **{file: lines}), "--json")
        assert said.code == 3
        first = said.json["files"][f"{file}.jsonl"]["first"]
        assert (first["key"], first["field"], first["b"]) == (key, field, b)
        assert sum(one["equal"] for one in said.json["files"].values()) == 3

    def test_counts(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Of lines that differ and of those that only one has; for people, too."""
        lines = [PROFILES[0], PROFILES[1] | {"segments": []}, PROFILES[1] | {"customer_id": "c9"}]
        a, b = export(tmp_path / "a"), export(tmp_path / "b", profiles=lines)
        found = verified(capsys, a, b, "--json").json["files"]["profiles.jsonl"]
        assert [found[name] for name in ("lines_a", "lines_b", "different", "only_a", "only_b")] == [3, 3, 1, 1, 1]
        said = verified(capsys, a, b, "--only", "profiles")
        assert "first difference at c2, segments" in said.out
        assert "similar.jsonl" not in said.out

    @pytest.mark.parametrize(("a", "b"), [(5, 5.0), (5.0, 5), (1, True), (0.0, False)])
    def test_numbers_are_compared_exactly(
        self, a: Any, b: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Also by how they are written: Python takes these for equal."""
        one, other = (profile(1, features={"orders_total": value, "views_1d": 2}) for value in (a, b))
        said = verified(capsys, export(tmp_path / "a", profiles=one), export(tmp_path / "b", profiles=other), "--json")
        assert said.code == 3
        assert said.json["files"]["profiles.jsonl"]["first"]["field"] == "features.orders_total"

    def test_the_order_of_members_is_no_difference(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """In a line of JSON it says nothing."""
        turned = [dict(reversed(line.items())) for line in PROFILES]
        said = verified(capsys, export(tmp_path / "a"), export(tmp_path / "b", profiles=turned))
        assert said.code == 0

    def test_true_is_not_one(self) -> None:
        """Python would have it so."""
        assert first_difference({"x": True}, {"x": 1}) == ("x", True, 1)


class TestOtherTimes:
    def test_what_time_alone_changes_is_left_out(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """And nothing else; profiles as of the same time are compared whole."""
        later = profile(0, as_of_ms=9, features={"orders_total": 1, "views_1d": 0})
        a, b = export(tmp_path / "a"), export(tmp_path / "b", profiles=later)
        assert verified(capsys, a, b).code == 3
        said = verified(capsys, a, b, "--ignore-as-of", "--json")
        assert said.code == 0
        assert said.json["files"]["profiles.jsonl"]["of_other_times"] == 1
        wrong = profile(0, as_of_ms=9, features={"orders_total": 7, "views_1d": 0})
        assert verified(capsys, a, export(tmp_path / "c", profiles=wrong), "--ignore-as-of").code == 3
        same = profile(0, features={"orders_total": 1, "views_1d": 0})
        assert verified(capsys, a, export(tmp_path / "d", profiles=same), "--ignore-as-of").code == 3

    def test_memberships_are_never_left_out(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """They are exact at every moment."""
        later = profile(0, as_of_ms=9, segments=[])
        a, b = export(tmp_path / "a"), export(tmp_path / "b", profiles=later)
        assert verified(capsys, a, b, "--ignore-as-of").code == 3

    def test_some_features_stay(self) -> None:
        """Else there would be nothing to compare."""
        assert {"orders_total", "revenue_total_cents", "last_seen_ms", "device"} <= FEATURES.keys() - DRIFTING
        assert {"orders_30d", "recency_ms", "engagement", "cart_abandoned_at_ms"} <= DRIFTING


class TestNoExport:
    def test_a_file_is_missing(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """The message names it."""
        a, b = export(tmp_path / "a"), export(tmp_path / "b")
        (b / "similar.jsonl").unlink()
        said = verified(capsys, a, b)
        assert said.code == 1
        assert "similar.jsonl: there is none" in said.err

    @pytest.mark.parametrize(
        ("content", "said"),
        [("{", "profiles.jsonl:1: no line"), ("[]", ":1: no line"), ("{}", ":1: no line"), ("\n", ":1: no line")],
    )
    def test_other_lines(self, content: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """By place."""
        a, b = export(tmp_path / "a"), export(tmp_path / "b")
        (a / "profiles.jsonl").write_text(content)
        assert said in verified(capsys, a, b).err

    def test_another_order(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Would make a difference of everything."""
        a, b = export(tmp_path / "a"), export(tmp_path / "b", profiles=PROFILES[::-1])
        assert "profiles.jsonl:2: not in the order of an export" in verified(capsys, a, b).err
