"""The number of processed events, in a small file that a launcher on the same machine reads."""

import os
import tempfile
from pathlib import Path

STEP = 256
"""The file is written every so many events: 8 bytes, about a microsecond."""
_BYTES = 8


class Progress:
    """Counts events; shows the count if there is a place to show it."""

    def __init__(self, folder: Path | None) -> None:
        """Open a new file in `folder`: one for each subtask (whose number PyFlink 2.3 fails to tell in thread mode)."""
        self._count = 0
        self._file = -1 if folder is None else tempfile.mkstemp(prefix="subtask-", dir=folder)[0]

    def step(self) -> None:
        """One more."""
        self._count += 1
        if not self._count % STEP:
            self._show()

    def close(self) -> None:
        """Show the last count."""
        self._show()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _show(self) -> None:
        if self._file >= 0:
            os.pwrite(self._file, self._count.to_bytes(_BYTES, "big"), 0)


def read_progress(folder: Path) -> int:
    """Sum of the counts that all subtasks have shown."""
    return sum(int.from_bytes(path.read_bytes()[:_BYTES], "big") for path in folder.glob("subtask-*"))
