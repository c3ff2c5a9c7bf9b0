"""The live job by Flink's own command, as docs/live.md says it: it runs, with the compiled core, and its client keeps
passwords to itself."""

import json
import subprocess
import sys
from pathlib import Path

import msgpack
import pytest
import redis

from jobs.compiled_core import GROUP
from jobs.stack.flink import flink_home
from jobs.stack.stack import Stack
from tests.cluster.live_jobs import LiveJob, cancelled
from tests.cluster.waiting import until

pytestmark = pytest.mark.cluster
TIME_MS = 1_767_225_600_000

ROOT = Path(__file__).parents[2]
PASSWORD = "correct-horse"
ELSEWHERE = {"SEGMILL_REDIS_URL": f"redis://:{PASSWORD}@127.0.0.1:1"}
"""A variable whose name does not say that there is a password in it; the option wins over it."""


class TestFlinkRun:
    def test_it_runs_and_rejects(self, stack: Stack, tmp_path: Path, compiled_if_possible: Path | None) -> None:
        """The same graph, from a client that has nothing of the project but the archive and the requirements.

        In its environment is a password. Stopped and started again, the job has its code, compiled modules among it, in
        another folder of the same Pythons.
        """
        job = LiveJob(stack)
        job.make_topics()
        package = tmp_path / "segmill.zip"
        compiled = ("--no-compiled",) if compiled_if_possible is None else ("--compiled-in", compiled_if_possible)
        subprocess.run([sys.executable, "-m", "jobs.live.package", package, *compiled], check=True, cwd=ROOT)
        with cancelled(job):
            said = flink_run(job, package, tmp_path, "-pym", "jobs.live.main")
            job.produce((b"k", json.dumps({"event_id": "e"}).encode(), TIME_MS), view("e1"))
            until(lambda: len(job.rejected()) == 1, "the record is rejected")
            job.await_all_read()
            assert job.restarts() == 0
            first = cores_loaded(stack)
            assert bool(first) == bool(compiled_if_possible)
            savepoint = job.stop()
            said += flink_run(job, package, tmp_path, "-s", savepoint, "-py", ROOT / "jobs" / "live" / "main.py")
            job.produce(view("e2"))
            job.await_all_read()
            assert job.restarts() == 0
            assert bool(cores_loaded(stack) - first) == bool(compiled_if_possible)
            until(lambda: views_shown(job) == 2, "both views are in the profile")
        logs = {path.name: path.read_bytes() for path in stack.layout.logs.iterdir()}
        assert [name for name, text in logs.items() if PASSWORD.encode() in text] == []
        assert PASSWORD not in said
        assert b"Building program from JAR file" in b"".join(logs.values())  # the client's is among them


def flink_run(job: LiveJob, package: Path, folder: Path, *options: object) -> str:
    """As docs/live.md says it, from a folder that is not the project's, on all TaskManagers; returns what it said."""
    command = [
        *("bash", flink_home() / "bin" / "flink", "run", "-d", "-m", job.cluster.url.removeprefix("http://")),
        *("-pyexec", sys.executable, "-pyclientexec", sys.executable, "-pyfs", package, *options),
        *("--bootstrap", job.bootstrap, "--redis", job.redis_url, "--topic-prefix", job.prefix, "--name", job.name),
        *("--settings", job.settings_file, "--checkpoint-interval", "1s"),
        *("--parallelism", job.stack.plan.task_managers),
    ]
    ran = subprocess.run(
        [str(part) for part in command],
        env={**job.stack.flink_environment(), **ELSEWHERE},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    job.job_id = job.cluster.job(job.name).job_id
    until(lambda: job.completed_checkpoints() > 0, "the first checkpoint")
    return ran.stdout + ran.stderr


def views_shown(job: LiveJob) -> int:
    """Of the one customer."""
    profile = msgpack.unpackb(redis.Redis.from_url(job.redis_url).get(f"{job.prefix}profile:c"))
    return int(profile["features"]["views_90d"])


def view(event_id: str) -> tuple[bytes, bytes, int]:
    event = {"event_id": event_id, "type": "product_viewed", "timestamp": TIME_MS, "customer_id": "c"}
    return b"c", json.dumps(event | {"product_id": "p"}).encode(), TIME_MS


def cores_loaded(stack: Stack) -> set[str]:
    """Paths of the compiled core's library that TaskManagers have loaded, those that are gone by now among them."""
    found = set()
    for number in range(1, stack.plan.task_managers + 1):
        pid = stack.process(f"taskmanager-{number}").pid
        maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
        found |= {line.split()[5] for line in maps.splitlines() if GROUP in line}
    return found
