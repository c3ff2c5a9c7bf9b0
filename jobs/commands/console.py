"""What commands say and how: progress and words on standard error, results on standard output."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

words = Console(stderr=True, highlight=False)
results = Console(highlight=False)


def say(text: str) -> None:
    """A line about what is going on."""
    words.print(text, style="dim")


@contextmanager
def progress(*, counted: bool) -> Iterator[Progress]:
    """Progress bars that vanish when done; on no terminal, nothing.

    `counted`: show done and total as numbers; else as a share.
    """
    share = MofNCompleteColumn() if counted else TaskProgressColumn()
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        share,
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=words, transient=True, disable=not sys.stderr.isatty()) as bars:
        yield bars
