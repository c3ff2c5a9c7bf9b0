"""What a finished job left in a folder of JSON lines."""

import re
from collections.abc import Iterator
from pathlib import Path


def joined(folder: Path) -> Iterator[bytes]:
    """The lines of a finished job's folder, each with its line break, in the order of emission of each subtask."""
    for part in sorted(folder.glob("part-*"), key=_place):
        with part.open("rb") as lines:
            yield from lines


def _place(part: Path) -> tuple[str, int]:
    name, number = re.fullmatch(r"(.*)-(\d+)", part.name).groups()  # type: ignore[union-attr]  # Flink's own names
    return name, int(number)
