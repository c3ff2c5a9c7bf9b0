"""A broker that wants a user and a password: they come from file and environment, and are never told."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.kafka_client import PASSWORD_VARIABLE
from jobs.runtime.children import start_child, stop_child
from jobs.runtime.java import find_java
from jobs.stack.kafka import broker_service
from jobs.stack.layout import Layout
from jobs.stack.service import reachable
from tests.cluster.ports import free_plan
from tests.jobs.cli_runs import call, event, log

pytestmark = pytest.mark.cluster

PASSWORD = "correct-horse"
GUARDED = """
listeners=BROKER://127.0.0.1:{0},GUARDED://127.0.0.1:{1},CONTROLLER://127.0.0.1:{2}
advertised.listeners=BROKER://127.0.0.1:{0},GUARDED://127.0.0.1:{1}
listener.security.protocol.map=BROKER:PLAINTEXT,GUARDED:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=PLAIN
listener.name.guarded.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required {3};
"""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the guarded listener of a broker of its own."""
    layout, plan = Layout(tmp_path_factory.mktemp("guarded")), free_plan()
    layout.make()
    service = broker_service(plan, layout, find_java(), 1)
    service.prepare()
    ports = (plan.broker_port(1), plan.broker_port(1) + 1, plan.controller_port(1))
    with (layout.kafka / "broker-1.properties").open("a") as properties:  # of several lines the last one counts
        properties.write(GUARDED.format(*ports, f'user_shop="{PASSWORD}"'))
    broker: subprocess.Popen[bytes] = start_child(service.command("guarded"), layout.output("broker-1"), service.env)
    try:
        deadline = time.monotonic() + 120
        while not reachable(ports[1]):
            assert broker.poll() is None, layout.output("broker-1").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield f"127.0.0.1:{ports[1]}"
    finally:
        stop_child(broker)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """All but the password."""
    path = tmp_path / "client.properties"
    path.write_text("security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.username=shop\n")
    return path


class TestLogin:
    def test_with_the_password(
        self,
        guarded: str,
        config: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """From the environment, for each kind of client."""
        monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
        words = ("--bootstrap", guarded, "--kafka-config", config)
        assert call(capsys, "topics", "create", *words).code == 0
        said = call(capsys, "replay", log(tmp_path / "log.jsonl", event(1, "c", 0)), *words)
        assert (said.code, PASSWORD in said.err) == (0, False)

    def test_with_another_one(
        self, guarded: str, config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One line, soon, and neither of the two passwords in it."""
        monkeypatch.setenv(PASSWORD_VARIABLE, "wrong-horse")
        began = time.monotonic()
        said = call(capsys, "topics", "check", "--bootstrap", guarded, "--kafka-config", config)
        assert said.code == 1
        assert "authentication failed" in said.err
        assert said.err.count("\n") == 1
        assert "horse" not in said.err
        assert time.monotonic() - began < 9  # no use in waiting for better days

    def test_with_none(self, guarded: str, capsys: pytest.CaptureFixture[str]) -> None:
        """The message asks whether the settings are what the broker wants."""
        said = call(capsys, "topics", "check", "--bootstrap", guarded)
        assert said.code == 1
        assert "TLS and SASL" in said.err
