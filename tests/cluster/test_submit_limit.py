"""A cluster that answers questions, and never takes a job."""

import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from jobs.stack.stack import Stack
from tests.cluster.live_jobs import LiveJob
from tests.cluster.processes_of import none_left
from tests.end_to_end.segmill_runs import segmill

pytestmark = pytest.mark.cluster

WITHIN_S = 20


@contextmanager
def deaf(cluster: str) -> Iterator[tuple[str, list[str]]]:
    """Address of what hands on questions to a cluster, but never answers to what it is given; and what that was."""
    sent: list[str] = []
    over = threading.Event()

    class Deaf(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with urllib.request.urlopen(cluster + self.path, timeout=20) as answer:  # noqa: S310  (http, loopback)
                body = answer.read()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            sent.append(self.path)
            over.wait(120)

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Deaf) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", sent
        finally:
            over.set()
            server.shutdown()


def test_it_is_given_up(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In time, in one line that says where to look; no Java and no file is left, and the cluster has no such job."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    job = LiveJob(stack)
    job.make_topics(partitions=1)
    with deaf(job.cluster.url) as (url, sent):
        began = time.monotonic()
        said = segmill(
            *("submit", "segments", "--bootstrap", job.bootstrap, "--flink", url, "--redis", job.redis_url),
            *("--topic-prefix", job.prefix, "--name", job.name, "--within", f"{WITHIN_S}s"),
        )
        took_s = time.monotonic() - began
    assert said.returncode == 1
    errors = [line for line in said.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1, said.stderr
    assert f"{url} has not taken the job within {WITHIN_S} s" in errors[0]
    assert "--within" in errors[0]
    assert "Traceback" not in said.stderr
    assert [path.rstrip("/") for path in sent] == ["/v1/jobs"]  # it came so far
    assert WITHIN_S < took_s < WITHIN_S + 40
    assert none_left(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert job.name not in {one.name for one in job.cluster.jobs()}
    assert said.stdout == ""
