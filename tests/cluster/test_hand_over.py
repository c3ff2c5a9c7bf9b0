"""From history to live, as docs/replay.md says: nothing is missing at the seam, and nothing counts twice."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from jobs.stack.stack import Stack
from tests.cluster.live_jobs import live_job
from tests.cluster.publishing import assert_same, exported, publish, replay
from tests.end_to_end.segmill_runs import HARD, accepted, subject_of, time_of, write

pytestmark = pytest.mark.cluster

SHOP = msgspec.structs.replace(HARD, events=4_000, customers=250, products=80, days=20)
HISTORY, LIVE_FROM, CAUGHT_UP = 0.75, 0.85, 0.95
"""Parts of the log: the first replay ends, the producers begin, the second replay ends. A tenth is two days."""


def test_history_then_live(stack: Stack, log: Path, tmp_path: Path) -> None:
    """The second replay goes on while producers write what it overlaps with; two subtasks."""
    lines = log.read_bytes().splitlines()
    history, live_from, caught_up = (int(len(lines) * part) for part in (HISTORY, LIVE_FROM, CAUGHT_UP))
    good = set(accepted(log))
    with live_job(stack, "--parallelism", "2") as job:
        replay(job, write(tmp_path / "history.jsonl", lines[:history]))
        rest = write(tmp_path / "rest.jsonl", lines[history:caught_up])
        live = [(subject_of(line), line, time_of(line)) for line in lines[live_from:] if line in good]
        with ThreadPoolExecutor(1) as pool:
            produced = pool.submit(job.produce, *live)
            replay(job, rest)
            produced.result()
        job.await_all_read()
        as_of_ms = publish(job, "--at", max(map(time_of, accepted(log))) + 2_000)["written_ms"]
        assert_same(exported(job, tmp_path / "live"), log, as_of_ms, tmp_path)
        assert not [one for one in job.rejected() if one["reason"] == "too_late"]
        assert job.restarts() == 0
