"""Which server and framework is the fastest? One endpoint over a real Valkey, one worker each, loaded by wrk.

In rounds of all of them, each round beginning with another one: a busy minute hits all, and no one always comes after
the same other one. What is told is the median of the rounds, least and most beside it, and each peer's rate beside that
of the first one in the same round, which says more than either alone on a machine that others use.

`.bench-venv/bin/python -m benchmarks.serving_frameworks`: the peers are in requirements/bench.txt, wrk is a package of
most systems (`apt install wrk`).
"""

import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.results import Results
from benchmarks.serving_peers import HOST, PATH, PEERS
from jobs.runtime.valkey import EmbeddedValkey
from schemas.profiles import pack_versioned

CUSTOMER = "c-1"
FEATURES = {
    f"{name}_{days}d": days for name in ("views", "cart_adds", "orders", "sessions") for days in (1, 7, 14, 30, 90)
}
PROFILE = {"customer_id": CUSTOMER, "features": FEATURES, "segments": {"regulars": 1_700_000_000_000}}
PACKAGES = ("granian", "uvicorn", "httptools", "uvloop", "starlette", "falcon", "blacksheep", "litestar", "hiredis")
START_S, WARM_S = 20.0, 2
LEAST_ROUNDS = 3
UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1_000.0}


def main() -> None:
    """Measure, in turn, and keep the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=3, help="load on each peer in each round")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5, help=f"at least {LEAST_ROUNDS}")
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=PEERS)
    options = parser.parse_args()
    if options.rounds < LEAST_ROUNDS:
        parser.error(f"--rounds {options.rounds}: fewer than {LEAST_ROUNDS} say nothing of how much they differ")
    if shutil.which("wrk") is None:
        sys.exit("no wrk on the PATH (Debian: apt install wrk)")
    rates: dict[str, list[float]] = defaultdict(list)
    p99_ms: dict[str, list[float]] = defaultdict(list)
    with TemporaryDirectory(prefix="segmill-") as folder, EmbeddedValkey(Path(folder) / "v") as valkey:
        valkey.client().set(f"profile:{CUSTOMER}", pack_versioned(1, 1, PROFILE))
        for turn in range(options.rounds):
            for peer in in_turn(options.peers, turn):
                with served(peer, valkey.socket) as url:
                    wrk(url, WARM_S, options.connections)
                    rate, tail_ms = wrk(url, options.seconds, options.connections)
                rates[peer].append(rate)
                p99_ms[peer].append(tail_ms)
                print(f"{peer}: {rate:,.0f}/s", file=sys.stderr, flush=True)
    results = Results("serving_frameworks", "Servers and frameworks, one worker", vars(options))
    first = options.peers[0]
    for peer in sorted(rates, key=lambda name: -median(rates[name])):
        results.add(peer, "requests/s", *rates[peer])
        if peer != first:
            beside = (rate / of_first for rate, of_first in zip(rates[peer], rates[first], strict=True))
            results.add(f"↳ {peer}, beside {first}", "times", *beside)
        results.add(f"↳ {peer}, p99", "ms", *p99_ms[peer])
    results.notes.append(", ".join(f"{name} {version(name)}" for name in PACKAGES))
    results.finish()


def in_turn(peers: Sequence[str], turn: int) -> list[str]:
    """All of them; each round begins with the next one, and every other goes backwards."""
    step = -1 if turn % 2 else 1
    return [peers[(turn + step * place) % len(peers)] for place in range(len(peers))]


@contextmanager
def served(peer: str, valkey: Path) -> Iterator[str]:
    """The peer in a process of its own."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"BENCH_PEER": peer, "BENCH_PORT": str(port), "BENCH_SOCKET": str(valkey)}
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.serving_peers"], env=environment)
    try:
        until = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection((HOST, port), 1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > until:
                    raise
                time.sleep(0.05)
        yield f"http://{HOST}:{port}{PATH}{CUSTOMER}"
    finally:
        process.terminate()
        process.wait(10)


def wrk(url: str, seconds: int, connections: int) -> tuple[float, float]:
    """Requests a second, and the 99th percentile of the latency in ms."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in said, said
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    tail = re.search(r"99%\s+([\d.]+)(us|ms|s)", said)
    assert rate, said
    assert tail, said
    return float(rate[1]), float(tail[1]) * UNITS_MS[tail[2]]


if __name__ == "__main__":
    main()
