"""Processes that live on after the command that started them, found again by pid files. For Linux: it reads /proc."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from jobs.runtime.children import start_child

_PAUSE_S = 0.05
_LISTEN = "0A"
_ours: dict[int, "subprocess.Popen[bytes]"] = {}
"""Children of this very process: they stay in the process table until they are asked for."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process, told from a later one with the same number by its start."""

    pid: int
    start_ticks: int
    """Clock ticks from the boot of the machine to the start of the process."""
    boot_id: str
    instance: str
    """A name that no other process had, for servers that tell their incarnations apart."""

    @property
    def alive(self) -> bool:
        """Whether it runs, or could: a paused one is alive, and so is one that still holds its ports while dying."""
        state = self._state()
        return state not in ("", "Z", "X") or (state == "Z" and _threads(self.pid) > 1)

    @property
    def paused(self) -> bool:
        """Whether SIGSTOP holds it."""
        return self._state() == "T"

    def signal(self, number: int) -> None:
        """Send a signal to the process and all that it started, which may outlive it; no error if all is gone."""
        found = _stat(self.pid)
        ours = found is None or found[1] == self.start_ticks  # no number is given anew while its group has members
        if ours and self.boot_id == _boot_id():
            try:
                os.killpg(self.pid, number)
            except (ProcessLookupError, PermissionError):  # gone, and the number is somebody else's by now
                return

    def gone_within(self, patience_s: float) -> bool:
        """Wait for its end; whether it came in time."""
        deadline = time.monotonic() + patience_s
        while self.alive:
            if time.monotonic() > deadline:
                return False
            time.sleep(_PAUSE_S)
        return True

    def memory_bytes(self) -> int:
        """Main memory that it occupies now; 0 when it is gone."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1])
        except (OSError, IndexError):
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE")

    def _state(self) -> str:
        child = _ours.get(self.pid)
        if child is not None:
            child.poll()
        found = _stat(self.pid)
        return found[0] if found is not None and (found[1], _boot_id()) == (self.start_ticks, self.boot_id) else ""


def start(
    command: Sequence[str | Path], output: Path, env: Mapping[str, str], cwd: Path, instance: str, *, owned: bool
) -> Process:
    """Start a program in a session of its own, so that Ctrl-C does not reach it; what it prints goes to `output`.

    With `owned`, which is for the main thread, it dies with us; else it lives on.
    """
    if owned:
        child = start_child(command, output, env, cwd)
    else:
        with output.open("ab") as sink:
            child = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,
            )
    _ours[child.pid] = child
    found = _stat(child.pid)  # our own child: there, be it as a zombie
    return Process(child.pid, found[1] if found else 0, _boot_id(), instance)


def stop(processes: Sequence[Process], patience_s: float) -> None:
    """End several processes and all that they started: asked first, then forced."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            process.signal(number)
            process.signal(signal.SIGCONT)  # one that is paused would never hear it
        deadline = time.monotonic() + patience_s
        if all(process.gone_within(max(0.0, deadline - time.monotonic())) for process in processes):
            break
    for process in processes:
        process.signal(signal.SIGKILL)


def save(process: Process, path: Path) -> None:
    """Leave a pid file."""
    partial = path.with_name(path.name + ".part")
    partial.write_text(json.dumps(asdict(process)) + "\n", encoding="utf-8")
    partial.replace(path)


def saved(path: Path) -> Process | None:
    """The process that a pid file names, dead or alive; None without a readable one."""
    try:
        return Process(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def listening_ports(pid: int) -> set[int]:
    """TCP ports on which a process of ours listens."""
    try:
        links = [os.readlink(entry.path) for entry in os.scandir(f"/proc/{pid}/fd")]
    except OSError:
        return set()
    inodes = {link[8:-1] for link in links if link.startswith("socket:[")}
    return {port for _, port, inode in listeners() if inode in inodes}


def listeners() -> list[tuple[str, int, str]]:
    """(address as the kernel writes it, port, inode) of each listening TCP socket of this machine."""
    found = []
    for name in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/net/{name}").read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for columns in map(str.split, lines):
            address, _, port = columns[1].partition(":")
            if columns[3] == _LISTEN:
                found.append((address, int(port, 16), columns[9]))
    return found


def _stat(pid: int) -> tuple[str, int] | None:
    """State letter and start, in ticks since boot."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return fields[0], int(fields[19])
    except (OSError, IndexError):
        return None


def _threads(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/task"))
    except OSError:
        return 0


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
