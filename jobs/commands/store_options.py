"""Where a command reads what a run left: its options, the store behind them, and that something is not in it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from jobs.commands.options import redis_option, redis_unless_from, with_password
from jobs.store import Store, open_store

F = TypeVar("F", bound=Callable[..., Any])
NOT_FOUND = 3


def source_options(command: F) -> F:
    """--from, --redis, --prefix and --json."""
    for option in reversed(
        [
            click.option("--from", "left_in", type=click.Path(path_type=Path, file_okay=False),
                         help="Folder that `segmill run --out` left. Default: out."),
            redis_option("Redis to read instead."),
            click.option("--prefix", default="segmill:", show_default=True, help="Prefix of the Redis keys."),
            click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        ]
    ):  # fmt: skip
        command = option(command)
    return command


def opened(redis_url: str | None, left_in: Path | None, prefix: str) -> AbstractContextManager[Store]:
    """The store that the options name.

    Raises:
        click.UsageError: they name two.
        StoreError: nothing is there.
    """
    redis_url = redis_unless_from(left_in, redis_url)
    return open_store(with_password(redis_url) if redis_url else None, left_in, prefix)


def missing(what: str, hint: str) -> NoReturn:
    """Say that something is not there, and end with the exit code that means no."""
    click.echo(f"{what}: not there. {hint}", err=True)
    raise click.exceptions.Exit(NOT_FOUND)
