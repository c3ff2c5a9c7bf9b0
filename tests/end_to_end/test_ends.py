"""How a run ends when it cannot do its work, and what is to be seen of it while it goes on."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from segmill_runs import CUSTOMER, SEGMILL, segmill

from jobs.runtime.valkey import EmbeddedValkey
from jobs.runtime.workspace import workspace

pytestmark = pytest.mark.slow

LISTENING = "0A"
LOOPBACK = re.compile(r"(?:0100007F|0{24}01000000|0{16}FFFF00000100007F):")
"""127.0.0.1, ::1 and 127.0.0.1 in IPv6, as /proc/net writes them."""


def running(marker: str) -> set[int]:
    """Processes that have `marker` in their command line or environment."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:
            continue
        if marker.encode() in text and int(folder.name) != os.getpid():
            found.add(int(folder.name))
    return found


def listening(pids: set[int]) -> list[str]:
    """Local addresses and ports on which these processes listen for TCP."""
    inodes = set()
    for pid in pids:
        try:
            links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
        except OSError:
            continue
        inodes |= {link[8:-1] for link in links if link.startswith("socket:[")}
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
            parts = line.split()
            if parts[3] == LISTENING and parts[9] in inodes:
                found.append(parts[1])
    return found


def listening_beyond_loopback(marker: str) -> tuple[set[str], set[str]]:
    """(addresses on which they listen, those of them that are not loopback's and stay).

    Flink asks for a free port by opening a server on any for a moment, on all interfaces
    (`NetUtils.getAvailablePort`, called where PyFlink's gateway starts); nobody is ever accepted there.
    What is there a second time is a server.
    """
    found = set(listening(running(marker)))
    beyond = {address for address in found if not LOOPBACK.match(address)}
    if beyond:
        time.sleep(0.1)
        beyond &= set(listening(running(marker)))
    return found, beyond


@pytest.fixture
def private() -> Iterator[Path]:
    """A folder for temporary files, with a short name (sockets need one)."""
    with tempfile.TemporaryDirectory(prefix="e2e-") as name:
        yield Path(name)


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_in_the_middle(
    private: Path, tmp_path: Path, hard_log: Path, number: signal.Signals, code: int
) -> None:
    """Only the owner can look into its folder, nothing listens beyond loopback, and then nothing is left."""
    command = [str(SEGMILL), "run", str(hard_log), "--out", str(tmp_path / "out")]
    environment = {**os.environ, "TMPDIR": str(private)}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    marker = str(private)  # Java has it in its environment, Valkey in its title
    try:
        watched_until_events_are_through(process, private)
        os.killpg(process.pid, number)
        said = process.communicate(timeout=20)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert process.returncode == code
    assert "Traceback" not in said[1]
    assert not CUSTOMER.search(said[0] + said[1])
    assert not running(marker)
    assert list(private.iterdir()) == []
    assert list((tmp_path / "out").iterdir()) == []


def watched_until_events_are_through(process: "subprocess.Popen[str]", private: Path) -> None:
    """Looks at processes, sockets and folders on the way."""
    addresses: set[str] = set()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        found, beyond = listening_beyond_loopback(str(private))
        assert not beyond
        addresses |= found
        if any(any(path.read_bytes()) for path in private.glob("segmill-*/job/progress/subtask-*")):
            break
        time.sleep(0.25)  # looking costs something, too
    assert process.poll() is None
    assert next(private.glob("segmill-*")).stat().st_mode & 0o077 == 0
    assert len(running(str(private))) >= 3  # the command, Java, Valkey
    assert addresses


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_process_mode_listens_on_loopback_only(private: Path, tmp_path: Path, hard_log: Path) -> None:
    """From the first process to the last one, the servers for Python's processes among them."""
    command = [str(SEGMILL), "run", str(hard_log), "--mode", "process", "--out", str(tmp_path / "out")]
    addresses: set[str] = set()
    most = 0
    with (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen(
            command, env={**os.environ, "TMPDIR": str(private)}, stdout=said, stderr=said, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            most = max(most, len(running(str(private))))
            found, beyond = listening_beyond_loopback(str(private))
            assert not beyond
            addresses |= found
            time.sleep(0.25)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert process.returncode == 0, (tmp_path / "said").read_text()
    assert most >= 4  # the command, Java, Valkey, Python
    assert len(addresses) >= 10  # 4 as in thread mode, 6 for Python


def test_an_error_inside_the_job(hard_log: Path, tmp_path: Path) -> None:
    """Here: a key of Redis holds something else. One line, with the address and what is wrong, and code 1."""
    with workspace() as folder, EmbeddedValkey(folder / "v") as valkey:
        valkey.client().rpush("segmill:segment:browsers", "no sorted set")
        ran = segmill("run", hard_log, "--out", tmp_path / "out", "--redis", valkey.url)
    assert ran.returncode == 1
    errors = [line for line in ran.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert "WRONGTYPE" in errors[0]
    assert "segmill:segment:browsers" in errors[0]
    assert "Traceback" not in ran.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_from_another_folder(tmp_path: Path) -> None:
    """Without EVENTS the shipped data is found from anywhere; here until its first day only."""
    ran = subprocess.run(
        [str(SEGMILL), "run", "--as-of", "2010-12-02T00:00:00Z", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert '"currency": "GBP"' in ran.stdout
    assert (tmp_path / "out" / "redis.rdb").is_file()


def test_any_folder_for_temporary_files(private: Path, tmp_path: Path, hard_log: Path) -> None:
    """With a space, letters beyond ASCII, a quote and a percent sign in its name."""
    temporary = private / "a ü'%20"
    temporary.mkdir()
    ran = subprocess.run(
        [str(SEGMILL), "run", str(hard_log), "--out", str(tmp_path / "out of é")],
        env={**os.environ, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "out of é" / "segment-changes.jsonl").stat().st_size > 0
