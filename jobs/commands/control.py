"""`segmill control`: other rules and settings for running jobs."""

import json
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import click

from jobs.commands.console import grid, plain, say, show, show_table
from jobs.commands.kafka_options import kafka_options, prefix_option
from jobs.commands.options import TimeParam
from jobs.control_topic import Published, publish_control, read_control
from jobs.kafka_client import kafka_target
from jobs.topics import Topics
from schemas.control import LIVE_SETTINGS, Control, check_settings
from schemas.rejects import Rejected
from schemas.settings import Settings
from schemas.timestamps import format_ms
from state.rules.ruleset import load_rules

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group("control")
def control_group() -> None:
    """Give running jobs other rules or settings, without a restart (docs/control.md)."""


@control_group.command("rules")
@click.argument("file", type=FILE)
@click.option(
    "--at",
    "effective_ms",
    type=TimeParam(),
    metavar="TIME",
    help="Event time from which on they are in force. Default: now.",
)
@kafka_options
@prefix_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def rules_command(
    file: Path, effective_ms: int | None, bootstrap: str, kafka_config: Path | None, topic_prefix: str, as_json: bool
) -> None:  # fmt: skip
    """Publish the rule file FILE, after checking it.

    They replace what was published for the same time or a later one. To go back, publish the old file.

    \b
      segmill rules try my.toml events.jsonl          who would move?
      segmill control rules my.toml                   from now on
      segmill control rules my.toml --at 2026-03-01T00:00:00Z
    """
    rules = load_rules(file)
    target, topic = kafka_target(bootstrap, kafka_config), Topics(topic_prefix).control
    old = next((one.version for one in reversed(read_control(target, topic)) if one.version), None)
    control = Control(_id(rules.version), "rules", rules=rules.text, effective_ms=effective_ms)
    offset = publish_control(target, topic, control)
    result = {"topic": topic.name, "offset": offset, "control_id": control.control_id, "old_version": old,
              "new_version": rules.version, "effective_ms": effective_ms}  # fmt: skip
    if as_json:
        click.echo(json.dumps(result))
        return
    since = "from now on" if effective_ms is None else f"from {format_ms(effective_ms)} on"
    show(
        f"rules {plain(old or '(those of the submission)')} → {rules.version}, {since}  {plain(topic.name)}:0:{offset}"
    )
    for name, why in rules.waiting:
        say(f"{name}: {why}")


@control_group.command("settings")
@click.argument("file", type=FILE)
@kafka_options
@prefix_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def settings_command(
    file: Path, bootstrap: str, kafka_config: Path | None, topic_prefix: str, as_json: bool
) -> None:  # fmt: skip
    """Publish the settings in the TOML file FILE; those it does not name stay as they are.

    Only what has no bearing on what has been computed already can change while a job runs: profile_interval_ms,
    profile_refresh_ms, max_future_ms, max_record_bytes and rates.
    """
    try:
        changes: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"), parse_float=Decimal)
        check_settings(Settings(), changes)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{file}: {error}") from error
    except Rejected as rejected:
        raise click.ClickException(f"{file}: {rejected.detail}") from rejected
    if not changes:
        raise click.ClickException(f"{file}: no settings; these can change: {', '.join(LIVE_SETTINGS)}")
    target, topic = kafka_target(bootstrap, kafka_config), Topics(topic_prefix).control
    control = Control(_id("settings"), "settings", settings=changes)
    offset = publish_control(target, topic, control)
    result = {"topic": topic.name, "offset": offset, "control_id": control.control_id, "settings": changes}
    if as_json:
        click.echo(json.dumps(result, default=str))
        return
    show(
        f"settings {plain(', '.join(f'{name} = {value}' for name, value in changes.items()))}  {topic.name}:0:{offset}"
    )


@control_group.command("show")
@kafka_options
@prefix_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def show_command(bootstrap: str, kafka_config: Path | None, topic_prefix: str, as_json: bool) -> None:
    """Show what is in the control topic, in the order in which jobs read it."""
    found = read_control(kafka_target(bootstrap, kafka_config), Topics(topic_prefix).control)
    if as_json:
        for one in found:
            click.echo(json.dumps(_as_json(one), default=str))
        return
    table = grid("offset", "published", "what", "in force", right=("offset",))
    for one in found:
        table.add_row(str(one.offset), format_ms(one.published_ms), plain(_what(one)), plain(_in_force(one)))
    show_table(table)


def _id(stem: str) -> str:
    return f"{stem}-{uuid4().hex[:12]}"


def _what(one: Published) -> str:
    if one.control is None:
        return f"refused: {one.refused}"
    if one.control.settings is not None:
        return ", ".join(f"{name} = {value}" for name, value in one.control.settings.items())
    return f"rules {one.version}"


def _in_force(one: Published) -> str:
    if one.control is None:
        return "-"
    return "when read" if one.control.effective_ms is None else f"from {format_ms(one.control.effective_ms)}"


def _as_json(one: Published) -> dict[str, Any]:
    control = one.control
    return {
        "offset": one.offset,
        "published_ms": one.published_ms,
        "control_id": control and control.control_id,
        "kind": control and control.kind,
        "rule_version": one.version,
        "settings": control and control.settings,
        "effective_ms": control and control.effective_ms,
        "refused": one.refused or None,
    }
