"""Who went from which segment to which, as files tell it; the directions of the picture, and its colours."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from jobs.population_history import WITHIN_MS, History, Sizes, transitions
from jobs.population_plot import draw, principal


def changes(path: Path, *rows: tuple[str, str, str, int, str | None] | tuple[str, str, str, int]) -> Path:
    """A file of (customer, segment, change, at_ms, which row it corrects)."""
    lines = []
    for number, (customer, segment, turned, at_ms, *corrects) in enumerate(rows):
        of: dict[str, Any] = {"customer_id": customer, "segment": segment, "change": turned, "at_ms": at_ms}
        superseded = corrects[0] if corrects else None
        lines.append(
            msgspec.json.encode({"change_id": f"#{number}", "supersedes": superseded, "why": {}, **of}) + b"\n"
        )
    path.write_bytes(b"".join(lines))
    return path


class TestTransitions:
    def test_next_within_a_day(self, tmp_path: Path) -> None:
        """The first entry counts, others in the same millisecond too, each customer by itself."""
        found = transitions(
            changes(
                tmp_path / "c.jsonl",
                ("1", "b", "entered", 0),
                ("1", "a", "entered", 1),
                ("1", "a", "left", 10),
                ("1", "c", "entered", 20),
                ("1", "d", "entered", 20),
                ("1", "b", "entered", 21),
                ("2", "a", "left", 10),
                ("2", "a", "entered", 10 + WITHIN_MS),
                ("3", "a", "left", 10),
                ("3", "b", "entered", 11 + WITHIN_MS),
            )
        )
        assert found.segments == ["a", "b", "c", "d"]
        assert found.exits == [3, 0, 0, 0]
        assert found.entered[0] == [1, 0, 1, 1]
        assert found.nowhere == [1, 0, 0, 0]
        assert not any(map(any, found.entered[1:]))

    def test_at_once(self, tmp_path: Path) -> None:
        """An entry in the millisecond of the exit counts, but for that of the stay that ended in it."""
        found = transitions(
            changes(
                tmp_path / "c.jsonl",
                ("1", "a", "entered", 10),
                ("1", "b", "entered", 10),
                ("1", "a", "left", 10),
                ("2", "a", "entered", 10),
                ("2", "a", "left", 10),
                ("2", "c", "entered", 15),
            )
        )
        assert found.entered[0] == [0, 1, 1]
        assert found.nowhere == [0, 0, 0]

    def test_corrections(self, tmp_path: Path) -> None:
        """What was taken back never happened; what was replaced happened then."""
        rows = (
            ("1", "a", "entered", 1),
            ("1", "a", "left", 2),
            ("1", "b", "entered", 3),
            ("1", "c", "entered", 4),
        )
        path = tmp_path / "c.jsonl"
        assert transitions(changes(path, *rows)).entered[0] == [0, 1, 0]
        assert transitions(changes(path, *rows, ("1", "b", "left", 3, "#2"))).entered[0] == [0, 1]
        assert transitions(changes(path, *rows, ("1", "b", "entered", 5, "#2"))).entered[0] == [0, 0, 1]
        gone = transitions(changes(path, *rows, ("1", "a", "entered", 2, "#1")))
        assert gone.exits == [0, 0, 0]

    def test_nothing(self, tmp_path: Path) -> None:
        """A run without any change."""
        assert transitions(changes(tmp_path / "c.jsonl")) == ([], [], [], [])


class TestPrincipal:
    def test_directions(self) -> None:
        """The first one is that in which points differ most; mirrored points give the same one."""
        points = np.array([[3.0 * at, -at, 0.1 * (at % 2)] for at in range(20)])
        components, shares = principal(points)
        assert components[0] == pytest.approx([0.9487, -0.3162, 0.0], abs=1e-2)
        assert shares[0] > 0.99
        assert principal(-points)[0] == pytest.approx(components)

    def test_fewer_than_two(self) -> None:
        """One point, one dimension, or all alike: flat, and no warning."""
        for points in (np.ones((1, 3)), np.arange(5.0)[:, None], np.ones((4, 2))):
            components, shares = principal(points)
            assert components.shape == (2, points.shape[1])
            assert np.isfinite(components).all()
            assert shares.sum() == pytest.approx(1.0 if points.shape == (5, 1) else 0.0)


class TestManyClusters:
    def test_small_ones_that_are_no_more_share_a_colour(self, tmp_path: Path) -> None:
        """Those of now are all named, and of the earlier ones the largest."""
        before = {id_: (11 + id_) / 1_000 for id_ in range(1, 41)}
        now = dict.fromkeys(range(41, 73), 1 / 32)
        names = {id_: f"name-{id_}" for id_ in range(1, 73)}
        draw(tmp_path / "p.svg", None, [], History([], [Sizes(0, before), Sizes(1_000, now)], names, 1_000), None)
        drawn = (tmp_path / "p.svg").read_text(encoding="utf-8")
        earlier = [id_ for id_ in before if f">{id_}  name-{id_}  (earlier)<" in drawn]
        assert earlier == list(range(33, 41))
        assert all(f">{id_}  name-{id_}<" in drawn for id_ in now)
        assert "32 others, small  (earlier)" in drawn
