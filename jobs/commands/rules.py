"""`segmill rules`: check a rule file, and try it on a log before it goes live."""

import json
from collections import Counter
from decimal import Decimal
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import click
import msgspec

from jobs.commands.console import grid, plain, progress, say, show, show_table
from jobs.commands.faults import tell_faults
from jobs.commands.options import (
    FORMATS,
    TimeParam,
    duration,
    iso,
    population_option,
    settings_from,
    settings_options,
)
from jobs.currency import currency_of
from jobs.examples import ONLINE_RETAIL
from jobs.rehearsal import Rehearsal, SegmentRecord, accepted, rehearse
from schemas.logs import open_log
from state.population.settings import population_settings
from state.rules.errors import RuleError
from state.rules.ruleset import load_rules


@click.group("rules")
def rules_group() -> None:
    """Check rule files, and try them on a log (docs/rules.md teaches the language)."""


@rules_group.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def check_command(file: Path, as_json: bool) -> None:
    """Check FILE: names, types, circles. Prints every fault with its line; exits with 3 if there is one."""
    if not file.is_file():
        raise click.ClickException(f"{file}: no such file")
    try:
        rules = load_rules(file)
    except RuleError as error:
        tell_faults(error, as_json)
    if as_json:
        waiting = dict(rules.waiting)
        click.echo(
            json.dumps({"ok": True, "version": rules.version, "segments": rules.names, "waiting": waiting}, indent=2)
        )
        return
    count = len(rules.segments)
    click.echo(f"{file}: {count} segment{'s' if count != 1 else ''}, version {rules.version}")
    for name, reason in rules.waiting:
        click.echo(f"  {name}: {reason}")


@rules_group.command("try")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("events", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--against", type=click.Path(path_type=Path), help="Rule file to compare with. Default: the shipped rules."
)
@click.option("--format", "log_format", type=click.Choice(FORMATS), default="auto", show_default=True)
@click.option("--as-of", type=TimeParam(), help="Look as of this time. Default: the newest event.")
@click.option("--limit", type=click.IntRange(0), default=5, show_default=True, help="Customers named for each segment.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
@settings_options
@population_option
def try_command(
    file: Path,
    events: tuple[Path, ...],
    against: Path | None,
    log_format: str,
    as_of: int | None,
    limit: int,
    as_json: bool,
    settings_file: Path | None,
    currency: str | None,
    rates: tuple[tuple[str, Decimal], ...],
    lateness_days: float | None,
    population: bool | None,
) -> None:
    """Replay EVENTS under FILE and under the rules of now, and show who would have moved.

    For each segment: members at the end under both, how often customers came and went, how many of these turns were
    within a day of the turn before (flaps), and the median stay.

    \b
      segmill rules try my.toml                       on the shipped data set, against the shipped rules
      segmill rules try new.toml --against old.toml events.jsonl.gz
      segmill rules try my.toml --population          with the segments that ask about all customers; slower
    """
    settings, currency_given = settings_from(settings_file, currency, rates, lateness_days, population)
    proposed, current = load_rules(file), load_rules(against)
    log = open_log(events or (ONLINE_RETAIL,), log_format)
    if not currency_given:
        settings = msgspec.structs.replace(settings, currency=currency_of(log))
    with progress(counted=False) as bars:
        task = bars.add_task("reading", total=log.total_bytes, note="")

        def raws() -> Any:
            for record in log:
                bars.update(task, completed=log.position_bytes)
                if record.rejected is None:
                    yield record.raw

        records, rejected = accepted(raws(), settings)
        if as_of is not None:
            records = [record for record in records if record[1] <= as_of]
        if not records:
            raise click.ClickException(_nothing(rejected, as_of))
        as_of_ms = as_of if as_of is not None else records[-1][1]
        outcomes = []
        for name, rules in (("now", current), ("tried", proposed)):
            replay = bars.add_task(f"replaying: {name}", total=len(records), note=rules.version)
            outcomes.append(rehearse(records, rules, settings, as_of_ms, partial(bars.advance, replay)))
    before, after = outcomes
    comparison = compare(before, after)
    if as_json:
        click.echo(json.dumps(comparison, indent=2))
        return
    say(f"{len(records):,} events of {after.customers:,} customers, as of {iso(as_of_ms)}")
    _show(comparison, limit)
    for name, reason in () if population_settings(settings).enabled else proposed.waiting:
        show(f"[dim]{plain(name)}: {plain(reason)}[/]")


def _nothing(rejected: Counter[str], as_of: int | None) -> str:
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in rejected.most_common(3))
    until = "" if as_of is None else f" up to {iso(as_of)}"
    return f"the log holds no valid event{until} to try the rules on" + (f" (rejected: {reasons})" if reasons else "")


def compare(before: Rehearsal, after: Rehearsal) -> dict[str, Any]:
    """Both outcomes side by side, by segment; `joins` and `goes` are the customers whose membership differs."""
    segments = {}
    for name in dict.fromkeys((*before.segments, *after.segments)):
        old, new = before.segments.get(name), after.segments.get(name)
        was, will = (set(record.members) if record else set() for record in (old, new))
        segments[name] = {
            "now": _figures(old),
            "tried": _figures(new),
            "joins": sorted(will - was),
            "goes": sorted(was - will),
        }
    return {"now": before.rules.version, "tried": after.rules.version, "segments": segments}


def _figures(record: SegmentRecord | None) -> dict[str, Any] | None:
    if record is None:
        return None
    stay_ms = median(record.stays_ms) if record.stays_ms else None
    return {
        "members": len(record.members),
        "entered": record.entered,
        "left": record.left,
        "flaps": record.flaps,
        "median_stay_ms": None if stay_ms is None else int(stay_ms),
    }


def _show(comparison: dict[str, Any], limit: int) -> None:
    figures = ("members", "join", "go", "turns", "flaps", "median stay")
    table = grid("segment", *figures, right=figures)
    for name, segment in comparison["segments"].items():
        old, new = segment["now"], segment["tried"]
        table.add_row(
            plain(name),
            _pair(old, new, "members"),
            f"{len(segment['joins']):,}",
            f"{len(segment['goes']):,}",
            _turns(old, new),
            _pair(old, new, "flaps"),
            _stays(old, new),
        )
    show_table(table)
    for name, segment in comparison["segments"].items():
        for word, customers in (("joins", segment["joins"]), ("goes", segment["goes"])):
            if customers and limit:
                more = f" and {len(customers) - limit:,} more" if len(customers) > limit else ""
                show(f"[dim]{word}[/] {plain(name)}: {plain(', '.join(customers[:limit]))}{more}")


def _pair(old: Any, new: Any, figure: str) -> str:
    shown = [f"{one[figure]:,}" if one else "-" for one in (old, new)]
    return shown[0] if shown[0] == shown[1] else " → ".join(shown)


def _turns(old: Any, new: Any) -> str:
    shown = [f"{one['entered'] + one['left']:,}" if one else "-" for one in (old, new)]
    return shown[0] if shown[0] == shown[1] else " → ".join(shown)


def _stays(old: Any, new: Any) -> str:
    shown = [
        "-" if one is None or one["median_stay_ms"] is None else duration(one["median_stay_ms"]) for one in (old, new)
    ]
    return shown[0] if shown[0] == shown[1] else " → ".join(shown)
