"""`segmill replay` into a real broker: everything arrives, once, with its key and its own time."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from jobs.stack.stack import Stack
from tests.cluster.records import new_topic, records
from tests.cluster.waiting import until
from tests.jobs.cli_runs import DAY, T0, call, event, log

pytestmark = pytest.mark.cluster

FOREVER = {"retention__ms": "-1"}
SEGMILL = [sys.executable, "-c", "from jobs.cli import main; main()"]


@pytest.fixture
def topic(bootstrap: str) -> str:
    """An empty one that keeps everything."""
    return new_topic(bootstrap, "replayed", **FOREVER)


def many(path: Path, count: int) -> Path:
    """A log of `count` events of some customers."""
    return log(path, *(event(number, f"c{number % 50}", number * 1_000) for number in range(count)))


class TestRecords:
    def test_keys_times_and_bytes(self, bootstrap: str, topic: str, tmp_path: Path, capsys: Any) -> None:
        """Merged by time; the bytes are those of the log; broken ones arrive without a key."""
        broken = b'{"event_id": '
        anonymous = {
            "event_id": "a",
            "type": "product_viewed",
            "timestamp": T0 + 5,
            "anonymous_id": "x",
            "product_id": "p",
        }
        one = log(tmp_path / "one.jsonl", event(1, "ä", 1), broken, event(3, "b", 3))
        other = log(tmp_path / "other.jsonl", event(2, "b", 2), anonymous)
        said = call(capsys, "replay", one, other, "--topic", topic, "--bootstrap", bootstrap, "--json")
        assert said.code == 0
        assert {name: said.json[name] for name in ("records", "unreadable", "cut", "done")} == {
            "records": 5, "unreadable": 1, "cut": 0, "done": True
        }  # fmt: skip
        found = {message.value(): message for message in records(bootstrap, topic)}
        lines = one.read_bytes().splitlines() + other.read_bytes().splitlines()
        assert found.keys() == set(lines)
        assert {(m.key() or b"").decode(): m.timestamp()[1] - T0 for m in found.values()} == {
            "ä": 1,
            "": 1,
            "b": 3,
            "x": 5,
        }
        assert all(message.headers() == [("schema-version", b"1")] for message in found.values())

    def test_a_log_that_begins_with_rubbish(self, bootstrap: str, topic: str, tmp_path: Path, capsys: Any) -> None:
        """The rubbish gets the time of the first event: the present would move the clock of the job to now."""
        path = log(tmp_path / "log.jsonl", b"rubbish", event(1, "a", 7))
        assert call(capsys, "replay", path, "--topic", topic, "--bootstrap", bootstrap).code == 0
        assert [message.timestamp()[1] for message in records(bootstrap, topic)] == [T0 + 7, T0 + 7]

    def test_other_formats_become_canonical(self, bootstrap: str, topic: str, tmp_path: Path, capsys: Any) -> None:
        """As `run` would read them."""
        segment = {"type": "track", "event": "Product Viewed", "messageId": "m1", "userId": "u1",
                   "timestamp": "2025-03-01T00:00:00.009Z", "properties": {"product_id": "p1"}}  # fmt: skip
        path = log(tmp_path / "log.jsonl", segment)
        assert call(capsys, "replay", path, "--topic", topic, "--bootstrap", bootstrap).code == 0
        (message,) = records(bootstrap, topic)
        assert (message.key(), message.timestamp()[1]) == (b"u1", T0 + 9)
        assert json.loads(message.value())["event_id"] == "m1"

    def test_a_record_larger_than_the_topic_takes(self, bootstrap: str, tmp_path: Path, capsys: Any) -> None:
        """Is cut, so that the job sees that there was something, and told."""
        small = new_topic(bootstrap, "small", max__message__bytes="100000", **FOREVER)
        path = log(tmp_path / "log.jsonl", event(1, "a", 0), event(2, "a", 1, query="x" * 200_000))
        said = call(capsys, "replay", path, "--topic", small, "--bootstrap", bootstrap)
        assert said.code == 0
        assert "1 were too large for the topic" in said.err
        assert sorted(len(message.value()) for message in records(bootstrap, small))[1] == 64 << 10


class TestTopicsThatDoNotFit:
    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ({"retention__ms": str(2 * DAY)}, "retention.ms=172800000 would delete that"),
            ({"retention__ms": "-1", "retention__bytes": "1000000"}, "retention.bytes=1000000"),
            ({"retention__ms": "-1", "cleanup__policy": "compact"}, "cleanup.policy=compact"),
            ({"retention__ms": "-1", "message__timestamp__type": "LogAppendTime"}, "times of the events would be lost"),
            ({"retention__ms": "-1", "message__timestamp__before__max__ms": "1000"}, "before.max.ms=1000 refuses"),
            ({"retention__ms": "-1", "min__insync__replicas": "2"}, "min.insync.replicas=2"),
        ],
    )
    def test_they_are_refused(
        self, bootstrap: str, settings: dict[str, str], said: str, tmp_path: Path, capsys: Any
    ) -> None:
        """Before the first record, with the reason."""
        bad = new_topic(bootstrap, "bad", **settings)
        answer = call(capsys, "replay", many(tmp_path / "l", 3), "--topic", bad, "--bootstrap", bootstrap)
        assert answer.code == 1
        assert said in answer.err
        assert records(bootstrap, bad) == []

    def test_no_such_topic(self, bootstrap: str, tmp_path: Path, capsys: Any) -> None:
        """The message says how to make it."""
        answer = call(capsys, "replay", many(tmp_path / "l", 3), "--topic", "nowhere", "--bootstrap", bootstrap)
        assert answer.code == 1
        assert "segmill topics create" in answer.err

    def test_an_old_event_further_on(self, bootstrap: str, tmp_path: Path, capsys: Any) -> None:
        """Is found before it is produced, and named by its place."""
        now_ms = time.time_ns() // 1_000_000
        short = new_topic(bootstrap, "short", retention__ms=str(2 * DAY))
        path = log(tmp_path / "l", event(1, "a", now_ms - T0), event(2, "a", 0))
        answer = call(capsys, "replay", path, "--topic", short, "--bootstrap", bootstrap)
        assert answer.code == 1
        assert "l:2: 2025-03-01T00:00:00.000Z is older than what the topic takes or keeps" in answer.err


class TestResume:
    def test_ctrl_c_leaves_no_gap_and_no_double(self, bootstrap: str, topic: str, tmp_path: Path, capsys: Any) -> None:
        """Wherever it comes; the log ends up in the topic exactly."""
        path, position = many(tmp_path / "log.jsonl", 20_000), tmp_path / "position"
        words = ["replay", str(path), "--topic", topic, "--bootstrap", bootstrap, "--resume", str(position)]
        for wait_s in (1.2, 0.7):
            with started(*words, "--speed", "2000/s") as process:
                until_records(bootstrap, topic, more_than=len(records(bootstrap, topic)))
                time.sleep(wait_s)
                process.send_signal(signal.SIGINT)
                _, err = process.communicate(timeout=30)
            assert process.returncode == 130
            assert "to go on, repeat the command with --resume" in err
            assert len(records(bootstrap, topic)) == json.loads(position.read_bytes())["records"]
        assert call(capsys, *words).code == 0
        assert sorted(m.value() for m in records(bootstrap, topic)) == sorted(path.read_bytes().splitlines())
        again = call(capsys, *words)
        assert (again.code, "nothing to do" in again.err) == (0, True)
        assert len(records(bootstrap, topic)) == 20_000

    def test_ctrl_c_without_a_file_makes_one(self, bootstrap: str, topic: str, tmp_path: Path) -> None:
        """And says its name."""
        path = many(tmp_path / "log.jsonl", 1_000)
        with started(
            "replay", path, "--topic", topic, "--bootstrap", bootstrap, "--speed", "50/s", cwd=tmp_path
        ) as one:
            until_records(bootstrap, topic, more_than=0)
            one.send_signal(signal.SIGINT)
            _, err = one.communicate(timeout=30)
        assert f"--resume {topic}.position" in err
        assert json.loads((tmp_path / f"{topic}.position").read_bytes())["records"] == len(records(bootstrap, topic))

    def test_kill_9_doubles_but_never_omits(self, bootstrap: str, topic: str, tmp_path: Path, capsys: Any) -> None:
        """What came after the last position is delivered again."""
        path, position = many(tmp_path / "log.jsonl", 20_000), tmp_path / "position"
        words = ["replay", str(path), "--topic", topic, "--bootstrap", bootstrap, "--resume", str(position)]
        with started(*words, "--speed", "1500/s") as process:
            until(position.exists, "the first position is kept")
            time.sleep(0.5)
            process.kill()
            process.wait(10)
        saved = json.loads(position.read_bytes())["records"]
        assert 0 < saved < len(records(bootstrap, topic))
        assert call(capsys, *words).code == 0
        found = Counter(message.value() for message in records(bootstrap, topic))
        assert found.keys() == set(path.read_bytes().splitlines())
        assert set(found.values()) == {1, 2}

    def test_another_log_or_topic_is_refused(self, bootstrap: str, topic: str, tmp_path: Path, capsys: Any) -> None:
        """A position means nothing there."""
        path, position = many(tmp_path / "log.jsonl", 10), tmp_path / "position"
        words = ("--bootstrap", bootstrap, "--resume", position)
        assert call(capsys, "replay", path, "--topic", topic, *words).code == 0
        other = new_topic(bootstrap, "other", **FOREVER)
        assert "not to" in call(capsys, "replay", path, "--topic", other, *words).err
        path.write_bytes(path.read_bytes().replace(b'"e3"', b'"e4"'))
        said = call(capsys, "replay", path, "--topic", topic, *words)
        assert said.code == 1
        assert "the log is not the one" in said.err


class TestBrokerDies:
    def test_and_comes_back(self, whole_stack: Stack, tmp_path: Path) -> None:
        """The replay waits for it and leaves no gap; what was under way may be there twice, as docs/replay.md says."""
        bootstrap = whole_stack.plan.bootstrap
        name = new_topic(bootstrap, "survived", **FOREVER)
        path = many(tmp_path / "log.jsonl", 30_000)
        words = ["replay", path, "--topic", name, "--bootstrap", bootstrap, "--resume", tmp_path / "position"]
        with started(*words, "--speed", "3000/s") as process:
            until_records(bootstrap, name, more_than=1_000)
            whole_stack.kill("broker-1")
            time.sleep(3)
            whole_stack.start("broker-1")
            _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        found = Counter(m.value() for m in records(bootstrap, name))
        assert found.keys() == set(path.read_bytes().splitlines())
        assert found.total() < 1.1 * len(found)


class TestPace:
    def test_records_a_second(self, bootstrap: str, topic: str, tmp_path: Path, capsys: Any) -> None:
        """300 at 200/s take a second and a half."""
        said = call(capsys, "replay", many(tmp_path / "l", 300), "--topic", topic, "--bootstrap", bootstrap,
                    "--speed", "200/s", "--json")  # fmt: skip
        assert 1.4 < said.json["wall_s"] < 10

    def test_event_time(self, bootstrap: str, topic: str, tmp_path: Path, capsys: Any) -> None:
        """200 seconds of the shop at 100x take two."""
        said = call(capsys, "replay", many(tmp_path / "l", 201), "--topic", topic, "--bootstrap", bootstrap,
                    "--speed", "100x", "--json")  # fmt: skip
        assert 1.9 < said.json["wall_s"] < 10


def started(*words: object, cwd: Path | None = None) -> "subprocess.Popen[str]":
    root = Path(__file__).parents[2]
    return subprocess.Popen(
        [*SEGMILL, *map(str, words)],
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(root)},
    )


def until_records(bootstrap: str, topic: str, more_than: int) -> None:
    until(lambda: len(records(bootstrap, topic)) > more_than, "records arrive")
