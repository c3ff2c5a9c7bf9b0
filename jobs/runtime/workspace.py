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

_FIRST_EXIT = 128
_ENDING = (signal.SIGTERM, signal.SIGHUP)


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
    """SIGTERM, or the end of the terminal, raises `Terminated` in the block, so that what it started is stopped."""
    if threading.current_thread() is not threading.main_thread():  # only there can handlers be set
        yield
        return

    def terminate(number: int, frame: FrameType | None) -> None:
        raise Terminated(_FIRST_EXIT + number)

    # under nohup the end of the terminal is ignored, and stays so
    ending = [one for one in _ENDING if signal.getsignal(one) is not signal.SIG_IGN]
    before = {one: signal.signal(one, terminate) for one in ending}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
