"""A private folder for one run, gone when the run is, Ctrl-C and SIGTERM included."""

import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from jobs.runtime.errors import Terminated

_SIGTERM_EXIT = 128 + signal.SIGTERM


@contextmanager
def workspace(parent: Path | None = None) -> Iterator[Path]:
    """A new folder that only its owner can enter; SIGTERM raises `Terminated` meanwhile."""
    with sigterm_raises():
        folder = Path(tempfile.mkdtemp(prefix="segmill-", dir=parent))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def sigterm_raises() -> Iterator[None]:
    """SIGTERM raises `Terminated` in the block, so that what it started is stopped."""
    if threading.current_thread() is not threading.main_thread():  # only there can handlers be set
        yield
        return

    def terminate(number: int, frame: FrameType | None) -> None:
        raise Terminated(_SIGTERM_EXIT)

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
