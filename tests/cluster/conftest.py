"""One stack of real servers for all tests of a process, of which `make test-cluster` has two."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.simulation.log import write_log
from jobs.stack.stack import Stack
from tests.cluster.ports import free_plan
from tests.cluster.reported import REPORTS


def pytest_sessionfinish(session: pytest.Session) -> None:
    """One of several processes of tests hands over what was reported in it."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["reports"] = REPORTS


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """It is taken over."""
    REPORTS.extend(getattr(node, "workeroutput", {}).get("reports", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests have reported, which pytest would keep to itself when they pass."""
    for text in REPORTS:
        terminalreporter.write_line(text)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A broker, a JobManager, two TaskManagers and a Redis; they die with the tests, however those end.

    A test that disturbs a server brings it back itself (`stack.start(name)`), or takes `whole_stack`.
    """
    stack = Stack(tmp_path_factory.mktemp("stack"), owned=True)
    try:
        stack.up(free_plan(task_managers=2))
        yield stack
    finally:
        stack.down(wipe=True)


@pytest.fixture
def whole_stack(stack: Stack) -> Iterator[Stack]:
    """The stack with all of it running, before and after."""
    stack.up(stack.plan)
    yield stack
    stack.up(stack.plan)


@pytest.fixture(scope="module")
def log(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of the test module's `SHOP`."""
    path = tmp_path_factory.mktemp("shop") / "log.jsonl"
    write_log(request.module.SHOP, path)
    return path


@pytest.fixture(scope="session")
def bootstrap(request: pytest.FixtureRequest) -> str:
    """Address of a Kafka: that of the stack, unless SEGMILL_TEST_BOOTSTRAP names one that runs already."""
    given = os.environ.get("SEGMILL_TEST_BOOTSTRAP")
    if given:
        return given
    stack: Stack = request.getfixturevalue("stack")
    return stack.plan.bootstrap
