"""Where things lie: in the folder of a stack, and in the project's."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from jobs.stack.errors import StackError

_ROOT = Path(__file__).parents[2]
TEMPLATES = _ROOT / "flink-conf"
_MADE = ("run", "logs", "kafka", "flink", "data", "checkpoints", "savepoints")


@dataclass(frozen=True, slots=True)
class Layout:
    """The folder of one stack."""

    folder: Path

    @property
    def run(self) -> Path:
        """Pid files."""
        return self.folder / "run"

    @property
    def logs(self) -> Path:
        """NAME.log and, of what was printed, NAME.out."""
        return self.folder / "logs"

    @property
    def kafka(self) -> Path:
        """Settings of the brokers."""
        return self.folder / "kafka"

    @property
    def flink(self) -> Path:
        """Settings, libraries and temporary files of the cluster."""
        return self.folder / "flink"

    @property
    def flink_conf(self) -> Path:
        """What FLINK_CONF_DIR should name, to submit a job to this cluster."""
        return self.flink / "conf"

    @property
    def flink_lib(self) -> Path:
        """What FLINK_LIB_DIR should name."""
        return self.flink / "lib"

    @property
    def checkpoints(self) -> Path:
        """Of all jobs."""
        return self.folder / "checkpoints"

    @property
    def savepoints(self) -> Path:
        """Where savepoints go by default."""
        return self.folder / "savepoints"

    def data(self, name: str) -> Path:
        """What a server keeps: `broker-1`, `redis`."""
        return self.folder / "data" / name

    def pid_file(self, name: str) -> Path:
        """Which process a server is."""
        return self.run / f"{name}.pid"

    def log(self, name: str) -> Path:
        """The server's own log."""
        return self.logs / f"{name}.log"

    def output(self, name: str) -> Path:
        """What the process printed."""
        return self.logs / f"{name}.out"

    def make(self) -> None:
        """Make the folders; only their owner can enter."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in _MADE:
            (self.folder / name).mkdir(mode=0o700, exist_ok=True)

    def wipe(self) -> None:
        """Remove what `make` made with all that is in it, and nothing else that may lie there."""
        for name in _MADE:
            shutil.rmtree(self.folder / name, ignore_errors=True)


def jars(kind: str) -> Path:
    """The folder of jars that `make connectors` leaves: `kafka` or `connectors`. SEGMILL_JARS names another place.

    Raises:
        StackError: they are not there.
    """
    found = Path(os.environ.get("SEGMILL_JARS") or _ROOT / "build") / kind
    if not any(found.glob("*.jar")):
        raise StackError(f"no jars in {found}: run `make connectors`")
    return found
