"""What a run leaves depends on the set of events, not on their order, their files, the mode or the server."""

import random
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from comparisons import check_memberships, true_changes
from segmill_runs import HARD, Run, accepted, read, run, segmill, subject_of, time_of, write

from jobs.runtime.valkey import EmbeddedValkey
from jobs.runtime.workspace import workspace
from jobs.simulation.log import write_log
from schemas.settings import DAY_MS

pytestmark = pytest.mark.slow


@pytest.fixture
def valkey() -> Iterator[EmbeddedValkey]:
    """A server that somebody else started."""
    with workspace() as folder, EmbeddedValkey(folder / "v") as valkey:
        yield valkey


class TestAgain:
    def test_into_the_same_folder(self, hard_run: Run, hard_log: Path) -> None:
        """All files are the same to the byte; what else lies in the folder stays."""
        before, exported = hard_run.results(), hard_run.exported()
        foreign = hard_run.out / "notes.txt"
        foreign.write_text("mine", encoding="utf-8")
        again = run(hard_run.out.parent, hard_log)
        assert (again.results(), again.exported()) == (before, exported)
        assert foreign.read_text(encoding="utf-8") == "mine"
        assert sorted(path.name for path in hard_run.out.iterdir()) == sorted(
            [*before, "notes.txt", "redis.rdb", "summary.json"]
        )


class TestOrder:
    def test_sorted_by_time(self, hard_run: Run, hard_log: Path, tmp_path: Path) -> None:
        """A log in order exports the same bytes as the shuffled one."""
        lines = sorted(accepted(hard_log), key=time_of)
        calm = run(tmp_path, write(tmp_path / "sorted.jsonl", lines))
        assert calm.exported() == hard_run.exported()
        assert true_changes(calm) == true_changes(hard_run)

    def test_overlapping_files(self, hard_run: Run, hard_log: Path, tmp_path: Path) -> None:
        """Dealt out to three files that overlap by days, named in an odd order."""
        rng = random.Random(3)
        files: list[list[bytes]] = [[], [], []]
        lines = accepted(hard_log)
        for place, line in enumerate(lines):
            files[min(2, max(0, int(3 * place / len(lines) + rng.gauss(0, 0.3))))].append(line)
        first, second, third = (write(tmp_path / f"{n}.jsonl", files[n]) for n in range(3))
        parts = run(tmp_path, third, first, second)
        assert parts.exported() == hard_run.exported()
        assert true_changes(parts) == true_changes(hard_run)

    def test_as_of_is_a_cut(self, hard_log: Path, tmp_path: Path) -> None:
        """As of a time in the middle, as if the log ended there; later records are counted as left out."""
        valid = set(accepted(hard_log))
        times = sorted(time_of(line) for line in valid)
        as_of_ms = times[len(times) // 2]
        whole = run(tmp_path / "whole", hard_log, "--as-of", as_of_ms)
        lines = hard_log.read_bytes().splitlines()
        early = [line for line in lines if line not in valid or time_of(line) <= as_of_ms]
        cut = run(tmp_path / "cut", write(tmp_path / "cut.jsonl", early))
        assert cut.exported() == whole.exported()
        assert cut.results()["segment-changes.jsonl"] == whole.results()["segment-changes.jsonl"]
        assert cut.summary["read"] == whole.summary["read"] == len(early)
        assert whole.summary["after_as_of"] == len(lines) - len(early)
        assert max(line["at_ms"] for line in read(whole.out / "segment-changes.jsonl")) <= as_of_ms


class TestElsewhere:
    def test_process_mode(self, hard_run: Run, hard_log: Path, tmp_path: Path) -> None:
        """Python beside Java computes the same; it gets events in bundles, so corrections on the way differ."""
        other = run(tmp_path, hard_log, "--mode", "process")
        assert other.exported() == hard_run.exported()
        assert other.results()["rejected.jsonl"] == hard_run.results()["rejected.jsonl"]
        assert true_changes(other) == true_changes(hard_run)
        check_memberships(other)

    def test_a_server_of_its_own(self, hard_run: Run, hard_log: Path, tmp_path: Path, valkey: EmbeddedValkey) -> None:
        """The export of a Redis is that of the folder; an earlier snapshot in the folder does not outlive the run."""
        (tmp_path / "out").mkdir()
        for name in ("summary.json", "redis.rdb"):
            (tmp_path / "out" / name).write_bytes((hard_run.out / name).read_bytes())
        there = run(tmp_path, hard_log, redis=valkey.url)
        assert there.exported() == hard_run.exported()
        assert not (there.out / "redis.rdb").exists()
        stale = segmill("run", hard_log, "--as-of", "2025-03-02T00:00:00Z", "--out", there.out, "--redis", valkey.url)
        assert stale.returncode == 0
        assert "what is newer there stays" in stale.stderr


class TestLate:
    def test_late_events_are_counted_and_the_option_named(self, tmp_path: Path) -> None:
        """A calm log with an hour's lateness, and one event two hours late."""
        log = tmp_path / "log.jsonl"
        write_log(msgspec.structs.replace(HARD, events=500, shuffle_ms=0, duplicates=0, malformed=0), log)
        lines = sorted(accepted(log), key=time_of)
        late = [line for line in lines[:200] if time_of(line) < time_of(lines[300]) - 7_200_000][-1]
        lines.remove(late)
        lines.insert(300, late)
        ran = segmill("run", write(log, lines), "--allowed-lateness", 1 / 24, "--out", tmp_path / "out")
        assert ran.returncode == 0
        summary = Run(tmp_path / "out", tmp_path, "").summary
        assert (summary["late"], summary["applied"] + summary["suppressed"]) == (1, 499)
        assert "1 event came too late" in ran.stderr
        assert "--allowed-lateness" in ran.stderr


class TestErasure:
    def test_it_is_as_if_they_had_never_been(self, hard_log: Path, tmp_path: Path) -> None:
        """A fifth of the customers ask to be erased: the lists of all items equal those of a log without them."""
        lines = accepted(hard_log)
        customers = sorted({subject_of(line) for line in lines})[::5]
        newest_ms = max(map(time_of, lines))
        erasures = [
            msgspec.json.encode(
                {"event_id": f"erase-{who}", "type": "erase", "timestamp": newest_ms + DAY_MS, "customer_id": who}
            )
            for who in customers
        ]
        others = [line for line in lines if subject_of(line) not in customers]
        as_of = ("--as-of", newest_ms + 2 * DAY_MS)
        erased = run(tmp_path / "erased", write(tmp_path / "erased.jsonl", [*lines, *erasures]), *as_of)
        never = run(tmp_path / "never", write(tmp_path / "never.jsonl", others), *as_of)
        assert erased.exported() == never.exported()
        assert not erased.features.keys() & set(customers)
