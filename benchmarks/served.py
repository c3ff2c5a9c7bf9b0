"""`segmill serve` in a process of its own, as long as something is measured."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

STARTS_S = 30
WORKERS_START_S = 2.0


@contextmanager
def served(
    redis_url: str, workers: int, *options: str, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[str, int]]:
    """The server's address and process; `options` and variables of the environment in addition to those of all."""
    command = [sys.executable, "-c", "from jobs.cli import main; main()", "serve", "--port", "0",
               "--redis", redis_url, "--workers", str(workers), *options]  # fmt: skip
    if "--keys" not in options:
        command.append("--without-keys")
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | dict(environment or {}))
    try:
        assert process.stderr is not None
        assert select.select([process.stderr], [], [], STARTS_S)[0], "the server does not start"
        line = process.stderr.readline()
        assert line.startswith("listening at "), line
        time.sleep(WORKERS_START_S)
        yield line.split()[2].rstrip(","), process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
