"""A stack for tests: real servers, on loopback only, that come back with their data."""

import json
import subprocess
from pathlib import Path

import pytest
import redis
from confluent_kafka import KafkaException

from jobs.stack.errors import StackError
from jobs.stack.flink import ask, flink_home
from jobs.stack.processes import listeners, listening_ports
from jobs.stack.stack import Stack
from tests.cluster.records import new_topic, produce, values
from tests.cluster.waiting import until

pytestmark = pytest.mark.cluster

NAMES = ["redis", "broker-1", "jobmanager", "taskmanager-1", "taskmanager-2"]
LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
"""127.0.0.1, the same as IPv6 has it, and ::1, as the kernel writes them."""


class TestUp:
    def test_all_of_it_answers(self, whole_stack: Stack) -> None:
        """A broker, a JobManager, two TaskManagers, Redis."""
        assert {one.name: one.answering for one in whole_stack.status()} == dict.fromkeys(NAMES, True)

    def test_again_changes_nothing(self, whole_stack: Stack) -> None:
        """The same processes, and it says that they run."""
        before = {one.name: one.pid for one in whole_stack.status()}
        said: list[str] = []
        whole_stack.up(whole_stack.plan, said.append)
        assert {one.name: one.pid for one in whole_stack.status()} == before
        assert f"running already: {', '.join(NAMES)}" in said

    def test_nothing_listens_but_on_loopback(self, whole_stack: Stack) -> None:
        """None of the processes; each has what it says it has."""
        for one in whole_stack.status():
            assert one.pid is not None
            ports = listening_ports(one.pid)
            assert set(one.ports) <= ports, one.name
            assert {address for address, port, _ in listeners() if port in ports} <= LOOPBACK, one.name

    def test_other_ports_are_refused_while_it_runs(self, whole_stack: Stack) -> None:
        """By the name of the option."""
        with pytest.raises(StackError, match=r"--redis-port.*stack down"):
            whole_stack.up(whole_stack.plan.changed(redis_port=whole_stack.plan.redis_port + 7))

    def test_another_number_of_brokers_is_refused(self, whole_stack: Stack) -> None:
        """What they hold is laid out for as many."""
        with pytest.raises(StackError, match="1 broker, whose data is kept"):
            whole_stack.up(whole_stack.plan.changed(brokers=3))

    def test_task_managers_come_and_go(self, whole_stack: Stack) -> None:
        """By another `up`; the others stay as they are."""
        before = {one.name: one.pid for one in whole_stack.status()}
        whole_stack.up(whole_stack.plan.changed(task_managers=1))
        assert {one.name: one.pid for one in whole_stack.status()} == {name: before[name] for name in NAMES[:-1]}
        whole_stack.up(whole_stack.plan.changed(task_managers=2))
        after = {one.name: one.pid for one in whole_stack.status()}
        assert after.pop(NAMES[-1]) != before.pop(NAMES[-1])
        assert after == before


class TestKafka:
    def test_a_value_of_11_mb_arrives(self, whole_stack: Stack) -> None:
        """What is too large for us must come so far, to be rejected by name."""
        bootstrap, large = whole_stack.plan.bootstrap, b"x" * 11_000_000
        topic = new_topic(bootstrap, "large")
        produce(bootstrap, topic, (None, large))
        assert values(bootstrap, topic) == [large]

    def test_topics_are_not_made_by_accident(self, whole_stack: Stack) -> None:
        """A name that is misspelt is an error."""
        with pytest.raises(KafkaException, match="UNKNOWN_TOPIC"):
            produce(
                whole_stack.plan.bootstrap, "no-such-topic", (None, b"x"), topic__metadata__propagation__max__ms=1000
            )


class TestFlink:
    def test_python_jobs_run_one_after_another(self, whole_stack: Stack) -> None:
        """With the connector, exactly once; a second one in the same TaskManagers, too."""
        bootstrap = whole_stack.plan.bootstrap
        source, sink = new_topic(bootstrap, "source"), new_topic(bootstrap, "sink")
        produce(bootstrap, source, (None, b"one"), (None, b"two"), (None, b"three"))
        for round_number in (1, 2):
            done = submitted(whole_stack, bootstrap, source, sink)
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
            expected = sorted([b"ONE", b"TWO", b"THREE"] * round_number)
            assert settled_values(bootstrap, sink, len(expected)) == expected


def settled_values(bootstrap: str, topic: str, count: int) -> list[bytes]:
    """Those of a topic once there are so many: a transaction's end is written a moment after the job's."""
    until(lambda: len(values(bootstrap, topic)) >= count, "all is committed")
    return values(bootstrap, topic)


def submitted(stack: Stack, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """`flink run` of the small job, to its end."""
    script = Path(__file__).with_name("shout_job.py")
    command = ["bash", flink_home() / "bin" / "flink", "run", "-py", script, *arguments]
    env = stack.flink_environment()
    return subprocess.run(
        [str(part) for part in command], env=env, capture_output=True, text=True, timeout=180, check=False
    )


class TestFaults:
    @pytest.mark.parametrize("name", NAMES[:-1])  # the two TaskManagers are alike
    def test_a_killed_server_is_seen_and_comes_back(self, whole_stack: Stack, name: str) -> None:
        """As another process; the others stay."""
        before = {one.name: one.pid for one in whole_stack.status()}
        whole_stack.kill(name)
        killed = next(one for one in whole_stack.status() if one.name == name)
        assert (killed.state, killed.answering, killed.pid) == ("dead", False, None)
        whole_stack.up(whole_stack.plan)
        after = {one.name: one.pid for one in whole_stack.status() if one.answering}
        assert after.pop(name) not in (None, before.pop(name))
        assert after == before

    def test_redis_keeps_what_it_acknowledged(self, whole_stack: Stack) -> None:
        """Up to the last write before kill -9; it counts as started once it has loaded what it keeps."""
        with redis.Redis.from_url(whole_stack.plan.redis_url) as client:
            client.eval("for i = 1, 300000 do redis.call('hset', 'much', i, i) end", 0)
            client.set("kept", "1")
            whole_stack.kill("redis")
            whole_stack.start("redis")
            assert client.get("kept") == b"1"
            client.delete("much")

    def test_a_broker_keeps_what_it_acknowledged(self, whole_stack: Stack) -> None:
        """Up to the last record before kill -9."""
        bootstrap = whole_stack.plan.bootstrap
        topic, written = new_topic(bootstrap, "kept"), [b"%02d" % number for number in range(100)]
        produce(bootstrap, topic, *((None, value) for value in written))
        whole_stack.kill("broker-1")
        whole_stack.start("broker-1")
        assert values(bootstrap, topic) == written

    def test_task_managers_find_a_new_job_manager(self, whole_stack: Stack) -> None:
        """They need not be started again."""
        whole_stack.kill("jobmanager")
        whole_stack.up(whole_stack.plan)
        known = ask(whole_stack.plan, "/taskmanagers")
        assert known is not None
        alive = {whole_stack.process(name).instance for name in ("taskmanager-1", "taskmanager-2")}
        assert {one["id"] for one in known["taskmanagers"]} == alive

    def test_a_paused_server_goes_on(self, whole_stack: Stack) -> None:
        """It stands still, which is seen, and is the same process afterwards."""
        pid = whole_stack.process("redis").pid
        whole_stack.pause("redis")
        assert [one.state for one in whole_stack.status() if not one.answering] == ["paused"]
        whole_stack.resume("redis")
        assert whole_stack.process("redis").pid == pid
        assert all(one.answering for one in whole_stack.status())

    def test_a_paused_server_can_be_stopped(self, whole_stack: Stack) -> None:
        """In order, not by force."""
        whole_stack.pause("redis")
        whole_stack.stop("redis")
        assert [one.state for one in whole_stack.status() if one.name == "redis"] == ["stopped"]
        assert "ready to exit, bye bye" in whole_stack.layout.log("redis").read_text(encoding="utf-8")


class TestPlanOnDisk:
    def test_it_is_what_commands_read(self, stack: Stack) -> None:
        """Ports and numbers, nothing else."""
        saved = json.loads((stack.layout.folder / "stack.json").read_text(encoding="utf-8"))
        assert saved["kafka_port"] == stack.plan.kafka_port
        assert saved["task_managers"] == 2
