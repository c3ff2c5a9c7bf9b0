"""`segmill content`: banners and messages by segment and features."""

import json
from pathlib import Path
from typing import Any

import click

from jobs.commands.console import grid, plain, show, show_table
from jobs.commands.faults import tell_faults
from jobs.commands.options import TimeParam, iso
from jobs.commands.store_options import missing, opened, source_options
from serving.content.document import load_content
from serving.content.entry import Content
from state.rules.errors import RuleError
from state.rules.ruleset import load_rules

_rules_option = click.option(
    "--rules", "rules_file", type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Rule file that names the segments. Default: the shipped rules.",
)  # fmt: skip


@click.group("content")
def content_group() -> None:
    """Check files of banners and messages, and try them on a customer (docs/recommendations.md)."""


@content_group.command("check")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_rules_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check_command(file: Path, rules_file: Path | None, as_json: bool) -> None:
    """Check FILE: names, types, segments. Prints every fault with its line; exits with 3 if there is one."""
    try:
        content = _loaded(file, rules_file)
    except RuleError as error:
        tell_faults(error, as_json)
    if as_json:
        click.echo(json.dumps({"ok": True, "version": content.version, "slots": content.slots}, indent=2))
        return
    click.echo(f"{file}: {len(content.entries)} entries for {', '.join(content.slots)}; version {content.version}")


@content_group.command("try")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--customer", "customer_id", required=True, metavar="ID", help="Whose profile to try it on.")
@click.option("--at", "at_ms", type=TimeParam(), help="As of this time. Default: that of the profile.")
@_rules_option
@source_options
def try_command(
    file: Path, customer_id: str, at_ms: int | None, rules_file: Path | None, left_in: Path | None,
    redis_url: str | None, prefix: str, as_json: bool,
) -> None:  # fmt: skip
    """Say what a customer would see in each slot of FILE, and which other entries hold for them.

    \b
      segmill content try content.toml --customer 14911 --from out
    """
    content = _loaded(file, rules_file)
    with opened(redis_url, left_in, prefix) as store:
        profile = store.profile(customer_id)
    if profile is None:
        missing(f"customer {customer_id}", "Was it erased, or did it withdraw consent? Ids are case-sensitive.")
    now_ms = profile["as_of_ms"] if at_ms is None else at_ms
    shown = {slot: content.choose(slot, profile, now_ms) for slot in content.slots}
    holding = content.holding(profile, now_ms)
    if as_json:
        slots = {slot: None if one is None else {"name": one.name, **one.fields} for slot, one in shown.items()}
        document = {"customer_id": customer_id, "at_ms": now_ms, "version": content.version, "slots": slots}
        click.echo(json.dumps({**document, "holds": holding}, ensure_ascii=False, indent=2))
        return
    show(f"[bold]customer {plain(customer_id)}[/]  as of {iso(now_ms)}\n")
    chosen: dict[str, Any] = {one.name: slot for slot, one in shown.items() if one is not None}
    table = grid("slot", "entry", "holds", "shown", "when")
    for entry in sorted(content.entries, key=lambda entry: entry.slot):
        is_shown = "yes" if entry.name in chosen else ""
        holds = "yes" if holding[entry.name] else "no"
        table.add_row(plain(entry.slot), plain(entry.name), holds, is_shown, plain(entry.condition_text or "always"))
    show_table(table)


def _loaded(file: Path, rules_file: Path | None) -> Content:
    return load_content(file, load_rules(rules_file).known)
