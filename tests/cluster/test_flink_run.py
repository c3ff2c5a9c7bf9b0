"""The live job by Flink's own command, as docs/live.md says it: it runs, and its client keeps passwords to itself."""

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

ROOT = Path(__file__).parents[2]
PASSWORD = "correct-horse"
ELSEWHERE = {"SEGMILL_REDIS_URL": f"redis://:{PASSWORD}@127.0.0.1:1"}
"""A variable whose name does not say that there is a password in it; the option wins over it."""


class TestFlinkRun:
    @pytest.mark.parametrize(
        "program", [("-pym", "jobs.live.main"), ("-py", ROOT / "jobs" / "live" / "main.py")], ids=["-pym", "-py"]
    )
    def test_it_runs_and_rejects(self, stack: Stack, tmp_path: Path, program: tuple[str, object]) -> None:
        """The same graph, from a client that has nothing of the project but the archive and the requirements.

        In its environment is a password.
        """
        job = LiveJob(stack)
        job.make_topics()
        package = tmp_path / "segmill.zip"
        subprocess.run([sys.executable, "-m", "jobs.live.package", package], check=True, cwd=ROOT)
        command = [
            *("bash", flink_home() / "bin" / "flink", "run", "-d", "-m", job.cluster.url.removeprefix("http://")),
            *("-pyexec", sys.executable, "-pyclientexec", sys.executable, "-pyfs", package, *program),
            *("--bootstrap", job.bootstrap, "--redis", job.redis_url, "--topic-prefix", job.prefix, "--name", job.name),
            *("--settings", job.settings_file, "--checkpoint-interval", "1s"),
        ]
        with cancelled(job):
            ran = subprocess.run(
                [str(part) for part in command],
                env={**stack.flink_environment(), **ELSEWHERE},
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
        logs = {path.name: path.read_bytes() for path in stack.layout.logs.iterdir()}
        assert [name for name, text in logs.items() if PASSWORD.encode() in text] == []
        assert PASSWORD not in ran.stdout + ran.stderr
        assert b"Building program from JAR file" in b"".join(logs.values())  # the client's is among them
