"""Paces and positions of a replay; the rest needs a broker (tests/cluster/test_replay.py)."""

from pathlib import Path

import pytest
from cli_runs import call, event, log

from jobs.replay.pace import Pace, parse_pace
from jobs.replay.position import Position, ReplayProblem, load_position, marks, save_position
from schemas.logs import open_log


class TestPace:
    @pytest.mark.parametrize(
        ("text", "pace"),
        [
            ("max", Pace()),
            ("10x", Pace(times=10)),
            ("0.5x", Pace(times=0.5)),
            ("500/s", Pace(records_per_s=500)),
            ("0.1/s", Pace(records_per_s=0.1)),
        ],
    )
    def test_what_is_understood(self, text: str, pace: Pace) -> None:
        """Three kinds."""
        assert parse_pace(text) == pace

    @pytest.mark.parametrize("text", ["", "fast", "10", "x", "-1x", "0x", "0/s", "1e3/s", "10 x", "inf/s"])
    def test_what_is_not(self, text: str) -> None:
        """And the message shows what would be."""
        with pytest.raises(ValueError, match="500/s"):
            parse_pace(text)

    def test_when_a_record_is_due(self) -> None:
        """In seconds after the first one."""
        assert Pace().due_s(1_000, 1_000) == 0
        assert Pace(records_per_s=200).due_s(300, 0) == 1.5
        assert Pace(times=10).due_s(300, 60_000) == 6


class TestPosition:
    def test_there_and_back(self, tmp_path: Path) -> None:
        """All of it, and nothing lies about afterwards."""
        files = marks(open_log([log(tmp_path / "a.jsonl", event(1, "c", 0))]))
        position = Position("events", "id", files, 5, records=7)
        save_position(tmp_path / "p", position)
        assert load_position(tmp_path / "p") == position
        assert load_position(tmp_path / "none") is None
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "p"]

    @pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"kind":"another","topic":"t"}'])
    def test_another_file_is_no_position(self, content: bytes, tmp_path: Path) -> None:
        """It is neither read nor overwritten."""
        path = tmp_path / "p"
        path.write_bytes(content)
        with pytest.raises(ReplayProblem, match="no position of a replay"):
            load_position(path)
        assert path.read_bytes() == content


class TestUsage:
    def test_speed(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A wrong one is wrong usage."""
        said = call(capsys, "replay", "log", "--speed", "warp")
        assert said.code == 2
        assert "500/s" in said.err

    @pytest.mark.parametrize("topic", ["segment-changes", "fr.segment-changes", "shop-2events-rejected", "fr.control"])
    def test_no_topic_that_a_job_writes(self, topic: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Whatever its prefix; told before any broker is asked."""
        events = log(tmp_path / "l", event(1, "c", 0))
        said = call(capsys, "replay", events, "--bootstrap", "127.0.0.1:1", "--topic", topic)
        assert said.code == 1
        assert f"{topic} is a topic for something else than events" in said.err

    def test_a_log_without_events(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Is told before any broker is asked."""
        said = call(capsys, "replay", log(tmp_path / "l", b"rubbish"), "--bootstrap", "127.0.0.1:1")
        assert said.code == 1
        assert "is --format right?" in said.err
