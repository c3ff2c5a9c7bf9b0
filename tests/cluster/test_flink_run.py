"""The live job by Flink's own command, as docs/live.md says it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.stack.flink import flink_home
from jobs.stack.stack import Stack
from tests.cluster.live_jobs import LiveJob, cancelled
from tests.cluster.waiting import until

pytestmark = pytest.mark.cluster


class TestFlinkRun:
    def test_it_runs_and_rejects(self, stack: Stack, tmp_path: Path) -> None:
        """The same graph, from a client that has nothing of the project but the archive and the requirements."""
        job = LiveJob(stack)
        job.make_topics()
        package = tmp_path / "segmill.zip"
        subprocess.run([sys.executable, "-m", "jobs.live.package", package], check=True, cwd=Path(__file__).parents[2])
        command = [
            *("bash", flink_home() / "bin" / "flink", "run", "-d", "-m", job.cluster.url.removeprefix("http://")),
            *("-pyexec", sys.executable, "-pyclientexec", sys.executable, "-pyfs", package, "-pym", "jobs.live.main"),
            *("--bootstrap", job.bootstrap, "--redis", job.redis_url, "--topic-prefix", job.prefix, "--name", job.name),
            *("--settings", job.settings_file, "--checkpoint-interval", "1s"),
        ]
        with cancelled(job):
            ran = subprocess.run(
                [str(part) for part in command],
                env=stack.flink_environment(),
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
            job.job_id = job.cluster.job(job.name).job_id
            job.produce((b"k", json.dumps({"event_id": "e"}).encode(), 1_767_225_600_000))
            until(lambda: len(job.rejected()) == 1, "the record is rejected")
            assert job.restarts() == 0
