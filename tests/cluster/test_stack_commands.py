"""`segmill stack` as a user types it: servers outlive the command, data the servers, nothing outlives `down`."""

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import redis

from jobs.stack.plan import StackPlan, saved_plan
from jobs.stack.service import taken
from jobs.stack.stack import Stack
from tests.cluster.ports import free_plan
from tests.cluster.processes_of import none_left, processes_of
from tests.cluster.records import new_topic, produce, values

pytestmark = pytest.mark.cluster

SEGMILL = [sys.executable, "-c", "from jobs.cli import main; main()", "stack"]


def run(folder: Path, command: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """One command on the stack of a folder."""
    words = [*SEGMILL, command, "--dir", str(folder), *arguments]
    return subprocess.run(words, capture_output=True, text=True, timeout=240, check=False)


def options(plan: StackPlan) -> list[str]:
    """The plan, as `stack up` takes it."""
    given = {name: value for name, value in asdict(plan).items() if value}
    return [part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", str(value))]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where a stack may be made; whatever is in it is stopped in the end. Its name has a blank in it."""
    place = tmp_path / "a stack"
    yield place
    Stack(place).down(wipe=True)
    assert none_left(place)


class TestLife:
    def test_from_up_to_wipe(self, folder: Path) -> None:
        """What Redis and Kafka were given is there after `down` and `up`, and gone after `down --wipe`."""
        plan = free_plan()
        first = run(folder, "up", "--json", *options(plan))
        assert first.returncode == 0, first.stderr
        told: dict[str, Any] = json.loads(first.stdout)
        assert told["answering"]
        assert {one["pid"] for one in told["servers"]} == processes_of(folder)
        bootstrap = told["kafka"]["bootstrap"]
        kept = new_topic(bootstrap, "kept")
        produce(bootstrap, kept, (None, b"a record"))
        with redis.Redis.from_url(told["redis"]["url"]) as client:
            client.set("kept", "a value")

        status = run(folder, "status", "--json")
        assert (status.returncode, json.loads(status.stdout)["servers"][0]["answering"]) == (0, True)
        stopped = run(folder, "down")
        assert stopped.stderr.splitlines()[-1] == "stopped broker-1, jobmanager, redis, taskmanager-1"
        assert none_left(folder, within_s=0)
        assert not any(taken(port) for one in told["servers"] for port in one["ports"])
        after = run(folder, "status")
        assert (after.returncode, after.stdout.count("stopped")) == (3, 4)

        assert run(folder, "up").returncode == 0  # with the ports of the first time
        with redis.Redis.from_url(plan.redis_url) as client:
            assert client.get("kept") == b"a value"
        assert values(bootstrap, kept) == [b"a record"]
        (folder / "note").write_text("mine", encoding="utf-8")
        assert run(folder, "down", "--wipe").returncode == 0
        assert [path.name for path in folder.iterdir()] == ["note"]
        assert run(folder, "down").stderr == "nothing was running\n"


class TestThatFails:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_an_interrupted_start_leaves_nothing(self, folder: Path, number: signal.Signals) -> None:
        """Neither processes nor a plan."""
        process = starting(folder)
        assert processes_of(folder)
        process.send_signal(number)
        assert process.wait(60) == 128 + number
        assert none_left(folder, within_s=0)
        assert saved_plan(folder) is None

    def test_a_killed_start_can_be_cleaned_up(self, folder: Path) -> None:
        """By `down`, which knows what was started."""
        process = starting(folder)
        process.kill()
        process.wait(60)
        assert run(folder, "down").returncode == 0
        assert none_left(folder, within_s=0)

    def test_a_stack_of_tests_dies_with_them(self, folder: Path) -> None:
        """Even by kill -9, and with nobody to call `down`."""
        program = "import sys; from pathlib import Path; from jobs.stack.stack import Stack; "
        program += "from tests.cluster.ports import free_plan; "
        program += "Stack(Path(sys.argv[1]), owned=True).up(free_plan(), lambda text: print(text, flush=True))"
        words = [sys.executable, "-c", program, str(folder)]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert "waiting for broker-1\n" in iter(process.stdout.readline, "")
        assert processes_of(folder)
        process.kill()
        process.wait(60)
        assert none_left(folder, within_s=20)

    def test_a_server_that_ends_takes_the_others_with_it(self, folder: Path) -> None:
        """The message has its last words: here, of a broker that finds somebody else's data."""
        data = folder / "data" / "broker-1"
        data.mkdir(parents=True)
        (data / "meta.properties").write_text("version=1\nnode.id=7\ncluster.id=other\n", encoding="utf-8")
        failed = run(folder, "up", *options(free_plan()))
        assert failed.returncode == 1
        assert "Error: broker-1 ended while starting" in failed.stderr
        assert "node" in failed.stderr.partition("ended while starting")[2]
        assert none_left(folder, within_s=0)
        assert (folder / "logs" / "broker-1.log").stat().st_size > 0

    def test_a_taken_port_is_named(self, folder: Path) -> None:
        """With its option, before anything is started."""
        plan = free_plan()
        with socket.create_server(("127.0.0.1", plan.redis_port)):
            failed = run(folder, "up", *options(plan))
        assert failed.returncode == 1
        told = f"Error: redis: port {plan.redis_port} is taken by another program: choose another --redis-port\n"
        assert failed.stderr == told
        assert processes_of(folder) == set()
        assert saved_plan(folder) is None


def starting(folder: Path) -> "subprocess.Popen[str]":
    """A `stack up` that has started everything and waits for the broker."""
    words = [*SEGMILL, "up", "--dir", str(folder), *options(free_plan())]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line == "waiting for broker-1\n":
            return process
    raise AssertionError("it did not start")


class TestMetrics:
    def test_each_process_of_flink_offers_its_own(self, folder: Path) -> None:
        """When a port was asked for; `status` says which."""
        stack = Stack(folder, owned=True)
        plan = free_plan()
        plan = plan.changed(metrics_port=plan.redis_port + 5)
        stack.up(plan)
        for port, name in ((plan.metrics_port, "jobmanager"), (plan.metrics_port + 1, "taskmanager")):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                assert f"flink_{name}_Status_JVM_Memory_Heap_Used" in answer.read().decode()
        assert [one.ports[-1] for one in stack.status() if "manager" in one.name] == [
            plan.metrics_port,
            plan.metrics_port + 1,
        ]
