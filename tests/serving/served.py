"""The real server in a process of its own, and a plain client."""

import http.client
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

START_S = 30.0
STOP_S = 20.0


class Got(NamedTuple):
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Served:
    """A running server."""

    def __init__(self, url: str, process: subprocess.Popen[str]) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        self.url, self.host, self.port, self.process = url, parts.hostname, parts.port, process

    def ask(self, path: str, method: str = "GET", body: Any = None, **headers: str) -> Got:
        """One request; `content_type` stands for content-type."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            named.setdefault("content-type", "application/json")
        connection = http.client.HTTPConnection(self.host, self.port, timeout=20)
        try:
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return Got(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def until(self, path: str, status: int, within_s: float = 20.0) -> Got:
        """Ask until this status comes."""
        until = time.monotonic() + within_s
        while (got := self.ask(path)).status != status:
            assert time.monotonic() < until, got
            time.sleep(0.02)
        return got


@contextmanager
def serve(*options: str, **environment: str) -> Iterator[Served]:
    """`segmill serve` at a free port; it must end cleanly."""
    command = [sys.executable, "-c", "from jobs.cli import main; main()", "serve", "--port", "0", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | environment)
    try:
        yield Served(_listening(process), process)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=STOP_S)
        assert (process.returncode, said) == (0, ""), (process.returncode, said)
    finally:
        process.kill()
        process.wait()


def _listening(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    until, said = time.monotonic() + START_S, ""
    while time.monotonic() < until:
        if select.select([process.stderr], [], [], 0.2)[0]:
            line = process.stderr.readline()
            said += line
            if line.startswith("listening at "):
                return line.split()[2].rstrip(",")
            if not line:
                break
    raise AssertionError(said or "it said nothing")
