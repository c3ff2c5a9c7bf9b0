"""The folder that a run leaves its results in: all of them complete, or those of the run before."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from jobs.runtime.valkey import SNAPSHOT

SEGMENT_CHANGES, REJECTED, SUMMARY = "segment-changes.jsonl", "rejected.jsonl", "summary.json"
MODELS = "models.jsonl"
NAMES = (SEGMENT_CHANGES, REJECTED, MODELS, SNAPSHOT, SUMMARY)
_PART = ".part"


class OutputError(Exception):
    """The folder cannot be written to; the message says what to do."""


class OutputFolder:
    """Results are written beside their places, and put there together by `finish`; other files stay as they are."""

    def __init__(self, path: Path) -> None:
        """Make the folder, if there is none.

        Raises:
            OutputError: it cannot be made, or holds a file of the same name that no run left.
        """
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            foreign = [name for name in NAMES if (path / name).exists()]
        except OSError as error:
            raise OutputError(f"{path}: cannot be written to: {error.strerror}; name another --out") from None
        if foreign and not _is_summary(path / SUMMARY):
            raise OutputError(
                f"{path / foreign[0]} was not left by a run of segmill (no {SUMMARY} of one lies beside it): "
                "move it away, or name another --out"
            )

    def part(self, name: str) -> Path:
        """Where to write the result of that name."""
        return self.path / (name + _PART)

    def write(self, name: str, lines: Iterable[bytes]) -> Iterator[bytes]:
        """Write lines and hand them on."""
        out: BinaryIO
        with self.part(name).open("wb") as out:
            for line in lines:
                out.write(line)
                yield line

    def finish(self) -> None:
        """Put everything in its place; a result of an earlier run that this one does not have is removed."""
        for name in NAMES:
            if self.part(name).exists():
                self.part(name).replace(self.path / name)
            else:
                (self.path / name).unlink(missing_ok=True)


@contextmanager
def output_folder(path: Path) -> Iterator[OutputFolder]:
    """The folder of a run; what was not finished is taken away again.

    Raises:
        OutputError: it cannot be used.
    """
    folder = OutputFolder(path)
    try:
        yield folder
    finally:
        with suppress(OSError):
            for name in NAMES:
                folder.part(name).unlink(missing_ok=True)


def _is_summary(path: Path) -> bool:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(document, dict) and "read" in document and "rule_version" in document
