"""One server of a stack: how it is started, where it listens, when it is up."""

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from jobs.stack.errors import StackError
from jobs.stack.processes import Process

HOST = "127.0.0.1"
_CONNECT_S = 1.0


@dataclass(frozen=True, slots=True)
class Service:
    """A server to be."""

    name: str
    command: Callable[[str], list[str | Path]]
    """The command line, given the name of the incarnation."""
    answers: Callable[[Process], bool]
    """Whether the server that this process is does its work."""
    env: dict[str, str]
    ports: dict[int, str]
    """Where it listens, and by which option that can be changed."""
    prepare: Callable[[], None] = field(default=lambda: None)
    """What must be done before each start."""

    def check_ports(self) -> None:
        """Raise StackError if somebody else listens on a port of ours."""
        for port, option in self.ports.items():
            if taken(port):
                raise StackError(f"{self.name}: port {port} is taken by another program: choose another {option}")


def taken(port: int) -> bool:
    """Whether something listens on a port of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a connection that just ended does not count
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False


def reachable(port: int) -> bool:
    """Whether somebody accepts connections on a loopback port."""
    try:
        socket.create_connection((HOST, port), _CONNECT_S).close()
    except OSError:
        return False
    return True


def last_lines(paths: list[Path], count: int = 12) -> str:
    """The ends of log files, for an error message; lines that look like a stack trace are left out."""
    told = []
    for path in paths:
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        kept = [line.rstrip() for line in lines if line.strip() and not line.startswith(("\tat ", "\t... "))]
        if kept:
            told.append(f"{path}:\n" + "\n".join(f"  {line[:300]}" for line in kept[-count:]))
    return "\n".join(told) or "it said nothing"
