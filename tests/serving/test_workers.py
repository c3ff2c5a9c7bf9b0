"""Several workers behind one address."""

import http.client
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from jobs.runtime.valkey import EmbeddedValkey
from tests.serving.served import Served, serve


def children(pid: int) -> list[int]:
    """Processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def figure(served: Served, name: str) -> float:
    lines = served.ask("/metrics").body.decode().splitlines()
    return float(next(line for line in lines if line.startswith(name + " ")).split()[-1])


def wait_until(served: Served, name: str, value: float) -> None:
    """Until a figure has a value."""
    until = time.monotonic() + 20
    while figure(served, name) != value:
        assert time.monotonic() < until, served.ask("/metrics").body
        time.sleep(0.05)


class TestWorkers:
    def test_figures_are_of_all_and_a_dead_one_is_replaced(self, valkey: EmbeddedValkey) -> None:
        """Whichever of them is asked; requests go on."""
        with serve("--without-keys", "--without-kafka", "--redis", valkey.url, "--workers", "2") as served:
            wait_until(served, "segmill_serve_redis_connected", 2)
            for _ in range(40):
                assert served.ask("/v1/customers/c-1").status == 200
            counted = 'segmill_serve_requests_total{route="/v1/customers/{customer_id}",status="200"}'
            assert figure(served, counted) == 40
            before = children(served.process.pid)
            os.kill(before[0], signal.SIGKILL)
            until = time.monotonic() + 20
            while len(now := children(served.process.pid)) < 2 or now == before:
                assert time.monotonic() < until
                time.sleep(0.05)
            for _ in range(20):
                served.until("/v1/customers/c-1", 200)

    def test_one_connection_has_all_of_its_keys_rate(
        self, valkey: EmbeddedValkey, keys: tuple[Path, dict[str, str]], tmp_path: Path
    ) -> None:
        """One worker answers all that comes in it; and what comes in others is counted together with it."""
        file, key = keys
        path = tmp_path / "keys.toml"
        path.write_text(file.read_text().replace("burst = 2", "burst = 20"))
        options = ("--keys", str(path), "--without-kafka", "--redis", valkey.url, "--workers", "2")
        with serve(*options) as served:
            served.until("/readyz", 200)
            connection = http.client.HTTPConnection(served.host, served.port, timeout=20)
            statuses = []
            for _ in range(15):
                connection.request("GET", "/v1/popular", headers={"x-api-key": key["slow"]})
                answer = connection.getresponse()
                answer.read()
                statuses.append(answer.status)
            connection.close()
            statuses += [served.ask("/v1/popular", x_api_key=key["slow"]).status for _ in range(15)]
            assert statuses == [200] * 20 + [429] * 10

    def test_none_outlives_the_server(self, valkey: EmbeddedValkey) -> None:
        """However that ended."""
        served = serve("--without-keys", "--without-kafka", "--redis", valkey.url, "--workers", "2")
        server = served.__enter__()
        pids = children(server.process.pid)
        server.process.kill()
        server.process.wait()
        until = time.monotonic() + 20
        while any(Path(f"/proc/{pid}").exists() for pid in pids):
            assert time.monotonic() < until
            time.sleep(0.05)
        assert len(pids) == 2

    def test_none_outlives_a_server_that_ends_while_they_start(self, valkey: EmbeddedValkey) -> None:
        """When the first one listens, the others are on their way."""
        served = serve("--without-keys", "--without-kafka", "--redis", valkey.url, "--workers", "6")
        server = served.__enter__()
        pids = children(server.process.pid)
        server.process.kill()
        server.process.wait()
        until = time.monotonic() + 20
        while alive := [pid for pid in pids if Path(f"/proc/{pid}").exists()]:
            assert time.monotonic() < until, alive
            time.sleep(0.05)
        assert len(pids) == 6

    def test_one_whose_parent_was_gone_before_it_began_ends(self) -> None:
        """Nobody tells it any more."""
        code = (
            "import os, time\n"
            "from serving.server import end_with\n"
            "parent, child = os.getpid(), os.fork()\n"
            "if child:\n"
            "    print(child, flush=True)\n"
            "    os._exit(0)\n"
            "while os.getppid() == parent:\n"
            "    time.sleep(0.01)\n"
            "end_with(parent)\n"
            "time.sleep(60)\n"
        )
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            pid = int(process.stdout.readline())
        until = time.monotonic() + 20
        while Path(f"/proc/{pid}").exists():
            assert time.monotonic() < until
            time.sleep(0.05)
