"""`segmill catalog`: what the shop says of its items."""

import json
from pathlib import Path
from typing import Any

import click

from jobs.commands.console import progress, warn
from jobs.commands.options import redis_option, with_password
from operators.redis_connection import RedisTarget
from schemas.decode import wall_clock_ms
from schemas.keys import Keys
from serving.catalog.item import Item
from serving.catalog.reading import Reading, read_catalog
from serving.catalog.store import CatalogStore

FAULTY = 3
MOST_SHOWN = 20


@click.group("catalog")
def catalog_group() -> None:
    """Check the shop's catalog, and load it into Redis (docs/recommendations.md has its fields)."""


@catalog_group.command("check")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check_command(file: Path, as_json: bool) -> None:
    """Read FILE (.csv, else JSON lines) and list every line that is no item; exits with 3 if there is one."""
    _, reading = _read(file)
    _tell(file, reading, {}, as_json)


@catalog_group.command("load")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@redis_option("Redis to load it into.")
@click.option("--prefix", default="segmill:", show_default=True, help="Prefix of the Redis keys.")
@click.option("--replace", is_flag=True, help="Take out stored items that are not in FILE.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def load_command(file: Path, redis_url: str | None, prefix: str, replace: bool, as_json: bool) -> None:
    """Load FILE (.csv, else JSON lines) into Redis, for recommendations to filter by and to show.

    Lines that are no item are listed, all others are loaded; then the exit code is 3. With such lines --replace takes
    nothing out.

    \b
      segmill catalog load items.jsonl --redis redis://localhost:6379
    """
    if redis_url is None:
        raise click.UsageError("say where to: --redis URL, or SEGMILL_REDIS_URL")
    client = RedisTarget(with_password(redis_url), prefix).reached()
    items, reading = _read(file)
    store = CatalogStore(client, Keys(prefix))
    with progress(counted=True) as bars:
        task = bars.add_task("loading", total=len(items), note="items")
        added = store.write(items, wall_clock_ms(), lambda count: bars.advance(task, count))
    done: dict[str, int] = {"loaded": len(items), "new": added}
    if replace and not reading.faults:
        done["removed"] = store.remove_others(items)
    _tell(file, reading, done, as_json)


def _read(file: Path) -> tuple[list[Item], Reading]:
    reading = Reading()
    with progress(counted=False) as bars:
        task = bars.add_task("reading", total=file.stat().st_size, note="")
        items = read_catalog(file, reading, lambda done: bars.update(task, completed=done))
    return items, reading


def _tell(file: Path, reading: Reading, done: dict[str, int], as_json: bool) -> None:
    """What was found and done; ends with the exit code that means no if there are faults."""
    faults = reading.faults
    if as_json:
        listed: list[dict[str, Any]] = [fault._asdict() for fault in faults]
        found = {"items": reading.items, "repeated": reading.repeated, "ignored": dict(reading.ignored)}
        click.echo(json.dumps({**found, **done, "faults": listed}, ensure_ascii=False, indent=2))
    else:
        more = "".join(f", {count:,} {what}" for what, count in done.items())
        repeated = f", {reading.repeated:,} lines repeated further down" if reading.repeated else ""
        click.echo(f"{file}: {reading.items:,} items{repeated}{more}")
        for name, count in reading.ignored.most_common():
            warn(f"{name!r} means nothing here: left out of {count:,} items")
        for fault in faults[:MOST_SHOWN]:
            click.echo(f"{file}: {fault}", err=True)
        if len(faults) > MOST_SHOWN:
            click.echo(f"and {len(faults) - MOST_SHOWN:,} more; --json lists them all", err=True)
    if faults:
        raise click.exceptions.Exit(FAULTY)
