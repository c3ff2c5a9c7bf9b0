"""`segmill export`: what readers see, as files."""

import json
from pathlib import Path
from typing import Any

import click

from jobs.commands.console import progress, say
from jobs.commands.options import redis_option, redis_unless_from, with_password
from jobs.export import export
from jobs.store import open_store


@click.command("export")
@click.option(
    "--from",
    "left_in",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder that `segmill run --out` left. Default: out.",
)
@redis_option("Redis to read instead.")
@click.option("--prefix", default="segmill:", show_default=True, help="Prefix of the Redis keys.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to write to.")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers of lines as JSON.")
def export_command(left_in: Path | None, redis_url: str | None, prefix: str, out: Path, as_json: bool) -> None:
    """Write profiles.jsonl, similar.jsonl, segments.jsonl and experiments.jsonl.

    The same state always gives the same bytes: compare two exports with `diff -r`.

    \b
      segmill export --from out --out export
      segmill export --redis redis://localhost:6379 --out export
    """
    redis_url = redis_unless_from(left_in, redis_url)
    with (
        open_store(with_password(redis_url) if redis_url else None, left_in, prefix) as store,
        progress(counted=True) as bars,
    ):
        tasks: dict[str, Any] = {}

        def on_line(name: str) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=None, note="")
            bars.advance(tasks[name])

        lines = export(store, out, on_line)
    if as_json:
        click.echo(json.dumps(lines))
    else:
        for name, count in lines.items():
            say(f"{out / name}: {count:,} lines")
