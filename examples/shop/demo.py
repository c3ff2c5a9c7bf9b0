"""All of it with one command: `python -m examples.shop.demo`, until Ctrl-C.

Writes a history for the catalogue, lets Segmill learn from it in an embedded Redis, and starts API and shop over
it. There is no Kafka and so no live job here: recommendations follow what a visitor does in this visit, and what the
shop sends waits in vain. docs/shop.md has the whole loop.
"""

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from types import FrameType
from typing import NoReturn

from examples.shop.catalogue import SHIPPED
from examples.shop.history import write_history
from jobs.runtime.valkey import EmbeddedValkey

_SEGMILL = (sys.executable, "-c", "from jobs.cli import main; main()")
_START_S = 60.0
_STOP_S = 10.0


@contextmanager
def learned(folder: Path) -> Iterator[str]:
    """A Redis with what a job learns from the history, and with the catalogue; its address.

    Raises:
        subprocess.CalledProcessError: a command failed; it has said why.
    """
    log = folder / "history.jsonl"
    write_history(log, time.time_ns() // 1_000_000)
    with EmbeddedValkey(folder / "redis") as redis:
        _segmill("run", str(log), "--out", str(folder / "out"), "--redis", redis.url)
        _segmill("catalog", "load", str(SHIPPED), "--redis", redis.url)
        yield redis.url


@contextmanager
def listening(*command: str, **environment: str) -> Iterator[str]:
    """A server in a process of its own, as soon as it says its address.

    Raises:
        RuntimeError: it ended, or says nothing.
    """
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | environment)
    try:
        yield _address(process)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def api_command(redis_url: str) -> tuple[str, ...]:
    """The API over a Redis, for this machine alone."""
    return (*_SEGMILL, "serve", "--without-keys", "--without-kafka", "--port", "0", "--redis", redis_url)


def shop_command(*options: str) -> tuple[str, ...]:
    """The shop."""
    return (sys.executable, "-m", "examples.shop", *options)


def main() -> None:
    """The command."""
    port = sys.argv[1] if len(sys.argv) > 1 else "8000"
    signal.signal(signal.SIGTERM, _stop)
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            learned(Path(folder)) as redis_url,
            listening(*api_command(redis_url)) as api,
            listening(*shop_command("--port", port, "--api", api)) as shop,
        ):
            print(f"\nAPI  {api}\nshop {shop}   until Ctrl-C", flush=True)
            signal.pause()
    except KeyboardInterrupt:
        pass


def _segmill(*arguments: str) -> None:
    subprocess.run([*_SEGMILL, *arguments], check=True)


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None  # noqa: S101 - for types
    ends_at, said = time.monotonic() + _START_S, ""
    while time.monotonic() < ends_at and process.poll() is None:
        if select.select([process.stderr], [], [], 0.2)[0]:
            said = process.stderr.readline()
            if said.startswith("listening at "):
                Thread(target=_pass_on, args=(process.stderr,), daemon=True).start()
                return said.split()[2].rstrip(",")
    raise RuntimeError(f"it does not listen: {said.strip() or 'it said nothing'}")


def _pass_on(lines: Iterable[str]) -> None:
    """What it says later."""
    for line in lines:
        print(line, end="", file=sys.stderr, flush=True)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
