"""`segmill simulate`: a log of customers with known kinds and products with known companions."""

import json
from pathlib import Path

import click

from jobs.commands.console import progress, say
from jobs.commands.options import TimeParam
from jobs.simulation.log import TRUTH_NAME, write_log
from jobs.simulation.settings import START_MS, SimulationSettings


@click.command("simulate")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--events", type=click.IntRange(min=1), default=500_000, show_default=True)
@click.option("--customers", type=click.IntRange(min=1), default=20_000, show_default=True, help="Those who may come.")
@click.option("--products", type=click.IntRange(min=1), default=2_000, show_default=True)
@click.option("--days", type=click.IntRange(min=1), default=60, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="The same options and seed give the same bytes.")
@click.option("--start", type=TimeParam(), default=START_MS, help="Time of the first event. Default: 2025-03-01.")
@click.option("--shift-at", type=float, metavar="SHARE", help="After this share of the days behaviour changes.")
@click.option(
    "--hot-share", type=float, default=0.0, metavar="SHARE", help="One customer has this share of all events."
)
@click.option("--shuffle-ms", type=int, default=0, metavar="MS", help="Each event arrives up to this much late.")
@click.option("--duplicates", type=float, default=0.0, metavar="SHARE", help="Events delivered a second time.")
@click.option("--malformed", type=float, default=0.0, metavar="SHARE", help="Lines that have to be rejected.")
@click.option(
    "--refunds-first", is_flag=True, help="Some refunds arrive before their orders, or are dated before them."
)
@click.option("--json", "as_json", is_flag=True, help="Print what was made as JSON.")
def simulate_command(path: Path, start: int, as_json: bool, **options: object) -> None:
    """Write a log to PATH (.jsonl; .gz or .zst packs it), and truth.json beside it.

    The truth names each customer's kind and each product's companions and substitutes, so that segments and similar
    items can be held against it.

    \b
      segmill simulate shop.jsonl.zst
      segmill simulate hard.jsonl --shuffle-ms 86400000 --duplicates 0.05 --malformed 0.02 --refunds-first
    """
    settings = SimulationSettings(start_ms=start, **options).checked()  # type: ignore[arg-type]
    with progress(counted=True) as bars:
        task = bars.add_task("simulating", total=settings.events, note="events")
        write_log(settings, path, lambda done: bars.update(task, completed=done))
    truth = path.with_name(TRUTH_NAME)
    if as_json:
        click.echo(json.dumps({"log": str(path), "truth": str(truth), "events": settings.events}))
    else:
        say(f"{path}: {settings.events:,} events; the truth about them: {truth}")
