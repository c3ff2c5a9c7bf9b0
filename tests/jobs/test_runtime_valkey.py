"""The embedded Valkey: private, kept on request, never left behind."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jobs.runtime.errors import RuntimeProblem
from jobs.runtime.valkey import EmbeddedValkey
from jobs.runtime.workspace import workspace

PARENT = """
import sys, time
from pathlib import Path
from jobs.runtime.valkey import EmbeddedValkey
from jobs.runtime.workspace import workspace
with workspace() as folder, EmbeddedValkey(folder / "v") as server:
    print(folder, server.pid, flush=True)
    time.sleep(60)
"""


def alive(pid: int) -> bool:
    """Whether a process runs (one that is dead but not yet collected does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(pid: int, within_s: float = 10.0) -> bool:
    """Whether a process ends in time."""
    deadline = time.monotonic() + within_s
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not alive(pid)


class TestServer:
    def test_nothing_listens_on_the_network(self) -> None:
        """A socket in a private folder, and no port."""
        with workspace() as folder, EmbeddedValkey(folder / "v") as server:
            assert server.client().config_get("port") == {"port": "0"}
            assert os.stat(folder).st_mode & 0o077 == 0
            assert os.stat(server.socket).st_mode & 0o077 == 0
        assert not alive(server.pid)
        assert not folder.exists()

    def test_a_snapshot_is_read_again(self, tmp_path: Path) -> None:
        """What a run leaves, a later look finds."""
        with workspace() as folder, EmbeddedValkey(folder / "v") as server:
            server.client().set("k", b"\x00v")
            server.save(tmp_path / "redis.rdb")
        with workspace() as folder, EmbeddedValkey(folder / "v", tmp_path / "redis.rdb") as server:
            assert server.client().get("k") == b"\x00v"
        assert [path.name for path in tmp_path.iterdir()] == ["redis.rdb"]

    def test_a_damaged_snapshot_is_told(self, tmp_path: Path) -> None:
        """And leaves no server."""
        (tmp_path / "redis.rdb").write_bytes(b"REDIS0011 no")
        with (
            workspace() as folder,
            pytest.raises(RuntimeProblem, match="does not start"),
            EmbeddedValkey(folder / "v", tmp_path / "redis.rdb"),
        ):
            pass

    def test_a_long_path_is_told(self, tmp_path: Path) -> None:
        """Sockets have short names."""
        with pytest.raises(RuntimeProblem, match="TMPDIR"), EmbeddedValkey(tmp_path / ("x" * 100)):
            pass


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc; only Linux tells a child of its parent's death")
class TestEndings:
    @pytest.mark.parametrize("signal_name", ["SIGINT", "SIGTERM", "SIGKILL"])
    def test_the_server_goes_with_us(self, signal_name: str) -> None:
        """Ctrl-C and SIGTERM leave neither process nor folder; even SIGKILL leaves no process."""
        import shutil
        import signal

        parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
        assert parent.stdout is not None
        place, pid = parent.stdout.readline().split()
        parent.send_signal(signal.Signals[signal_name])
        parent.wait(20)
        assert gone(int(pid))
        if signal_name == "SIGKILL":
            shutil.rmtree(place)
        assert not Path(place).exists()
