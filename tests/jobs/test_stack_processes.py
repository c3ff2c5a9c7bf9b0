"""Processes that outlive the command which started them: found again, never mistaken, always stopped."""

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.stack import processes
from jobs.stack.processes import Process

Starter = Callable[[str], Process]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Starter]:
    """Starts a Python program that prints when it is ready; all are ended afterwards."""
    running: list[Process] = []

    def start(program: str) -> Process:
        output = tmp_path / f"{len(running)}.out"
        command = [sys.executable, "-u", "-c", program]
        process = processes.start(command, output, dict(os.environ), tmp_path, "one", owned=False)
        running.append(process)
        while process.alive and not output.read_text(encoding="utf-8"):
            time.sleep(0.01)
        return process

    yield start
    processes.stop(running, 0.0)


SLEEPER = "import time; print('ready'); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready'); time.sleep(60)"


class TestPidFiles:
    def test_what_is_saved_is_found(self, started: Starter, tmp_path: Path) -> None:
        """Alive first, then dead."""
        process = started(SLEEPER)
        processes.save(process, tmp_path / "one.pid")
        found = processes.saved(tmp_path / "one.pid")
        assert found == process
        assert found.alive
        processes.stop([process], 5.0)
        assert not found.alive

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}'])
    def test_what_is_no_pid_file_is_no_process(self, tmp_path: Path, content: str) -> None:
        """Half written, or of something else."""
        (tmp_path / "one.pid").write_text(content, encoding="utf-8")
        assert processes.saved(tmp_path / "one.pid") is None

    @pytest.mark.parametrize("other", [{"start_ticks": 1}, {"boot_id": "of yesterday"}])
    def test_a_number_that_was_given_anew_is_left_alone(self, started: Starter, other: dict[str, object]) -> None:
        """Same pid, another process."""
        process = started(SLEEPER)
        stranger = replace(process, **other)  # type: ignore[arg-type]
        assert not stranger.alive
        processes.stop([stranger], 1.0)
        stranger.signal(signal.SIGKILL)
        assert process.alive


class TestStop:
    def test_who_does_not_listen_is_forced(self, started: Starter) -> None:
        """SIGTERM, patience, SIGKILL."""
        process = started(STUBBORN)
        processes.stop([process], 0.2)
        assert not process.alive

    def test_a_paused_one_is_stopped(self, started: Starter) -> None:
        """It is woken up to hear it."""
        process = started(SLEEPER)
        process.signal(signal.SIGSTOP)
        while not process.paused:
            time.sleep(0.01)
        processes.stop([process], 5.0)
        assert not process.alive

    @pytest.mark.parametrize("first", [0, signal.SIGKILL])
    def test_children_go_with_it(self, started: Starter, tmp_path: Path, first: int) -> None:
        """All that it started in its session, stubborn ones included, and those that have outlived it."""
        child = tmp_path / "child"
        program = f"import subprocess, sys, time; c = subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]); "
        program += f"open({str(child)!r}, 'w').write(str(c.pid)); time.sleep(0.3); print('ready'); c.wait()"
        process = started(program)
        pid = int(child.read_text(encoding="utf-8"))
        os.kill(process.pid, first)
        assert process.gone_within(5.0) == (first != 0)
        processes.stop([process], 0.5)
        assert ends(pid)


def ends(pid: int, within_s: float = 5.0) -> bool:
    """Whether a process ends in time; that nobody has collected it yet does not matter."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


class TestListeners:
    def test_a_port_is_found_with_its_process(self) -> None:
        """Of this very process."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            assert port in processes.listening_ports(os.getpid())
            assert [address for address, number, _ in processes.listeners() if number == port] == ["0100007F"]
        assert port not in processes.listening_ports(os.getpid())
