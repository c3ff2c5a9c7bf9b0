"""What commands say and how: progress and words on standard error, results on standard output."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from rich.console import Console
from rich.markup import escape
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
from rich.table import Column, Table

_UNBOUNDED = 10_000
"""Columns of a file or a pipe: nobody wants lines broken there."""


@cache
def words() -> Console:
    """Standard error, for what is going on."""
    return _console(stderr=True)


@cache
def results() -> Console:
    """Standard output, for what was asked."""
    return _console(stderr=False)


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, emoji=False, width=None if stream.isatty() else _UNBOUNDED)


def say(text: str) -> None:
    """A line about what is going on."""
    words().print(text, style="dim", markup=False, soft_wrap=not words().is_terminal)


def warn(text: str) -> None:
    """A line that should not be overlooked."""
    words().print(text, style="yellow", markup=False, soft_wrap=not words().is_terminal)


def show(markup: str = "") -> None:
    """A line of the result, with rich markup: what comes from outside goes through `plain` first."""
    results().print(markup, soft_wrap=not results().is_terminal)


def plain(text: object) -> str:
    """Text from outside, such as an id, that means itself: its [brackets] are no markup."""
    return escape(str(text))


def grid(*columns: str, right: tuple[str, ...] = (), title: str | None = None) -> Table:
    """A table without lines; column names that begin with a blank have no heading. Nothing is cut off."""
    headings = [
        Column("" if name.startswith(" ") else name, justify="right" if name in right else "left", overflow="fold")
        for name in columns
    ]
    bare = all(name.startswith(" ") for name in columns)
    return Table(*headings, box=None, pad_edge=False, show_header=not bare, title=title, title_justify="left")


def show_table(table: Table) -> None:
    """A table of the result; no blanks at the ends of lines."""
    console = results()
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        console.file.write(line.rstrip() + "\n")


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
    with Progress(*columns, console=words(), transient=True, disable=not sys.stderr.isatty()) as bars:
        yield bars
