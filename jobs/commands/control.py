"""`segmill control`: other rules and settings for running jobs, and results as of one moment."""

import json
import time
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import click

from jobs.commands.console import grid, plain, say, show, show_table
from jobs.commands.flink_options import LengthParam
from jobs.commands.job_options import REDIS
from jobs.commands.kafka_options import kafka_options, prefix_option
from jobs.commands.options import TimeParam, redis_option, with_password
from jobs.control_topic import Published, publish_control, read_control
from jobs.kafka_client import kafka_target
from jobs.topics import Topics
from operators.redis_connection import RedisTarget
from schemas.control import LIVE_SETTINGS, Control, check_settings
from schemas.keys import Keys
from schemas.rejects import Rejected
from schemas.settings import Settings
from schemas.timestamps import format_ms
from state.rules.ruleset import load_rules

POLL_S = 0.2
FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group("control")
def control_group() -> None:
    """Give running jobs other rules or settings, or let them write everything as of one moment (docs/control.md)."""


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
    prompt_profiles_per_s, profile_refresh_ms, max_future_ms, max_record_bytes and rates.
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


@control_group.command("publish")
@click.option(
    "--at",
    "as_of_ms",
    type=TimeParam(),
    metavar="TIME",
    help="Event time as of which. Default, and if it has passed: as soon as the job reads this.",
)
@click.option(
    "--hold",
    "hold_ms",
    type=LengthParam(),
    default="1min",
    show_default=True,
    help="On a quiet topic, time stands still there for so long, so that nothing later is written: time to export.",
)
@click.option("--wait", is_flag=True, help="Wait until all is written, and say as of when.")
@click.option(
    "--within",
    "within_ms",
    type=LengthParam(),
    default="10min",
    show_default=True,
    help="With --wait: give up after so long. What was asked for stays so.",
)
@redis_option(f"With --wait: the Redis that the job writes to. Default: {REDIS}.")
@click.option("--prefix", default="segmill:", show_default=True, help="With --wait: prefix of the Redis keys.")
@kafka_options
@prefix_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def publish_command(
    as_of_ms: int | None, hold_ms: int, wait: bool, within_ms: int, redis_url: str | None, prefix: str, bootstrap: str,
    kafka_config: Path | None, topic_prefix: str, as_json: bool
) -> None:  # fmt: skip
    """Let the job write everything as of one moment: what a run over the same events that ends then leaves.

    When the job's time comes to it, every profile, membership and list of similar items is written to Redis, whether it
    has changed or not. To compare a live job with a run over files, take a moment after the newest event:

    \b
      segmill control publish --at 2026-03-01T00:00:00Z --wait
      segmill export --redis redis://127.0.0.1:6379 --out live
      segmill run log/ --as-of 2026-03-01T00:00:00Z --out run && segmill export --from run --out backfill
      segmill verify live backfill
    """
    target, topic = kafka_target(bootstrap, kafka_config), Topics(topic_prefix).control
    redis = RedisTarget(with_password(redis_url or REDIS), prefix).reached() if wait else None
    control = Control(_id("publish"), "publish", as_of_ms=as_of_ms, hold_ms=hold_ms)
    offset = publish_control(target, topic, control)
    result = {"topic": topic.name, "offset": offset, "control_id": control.control_id, "as_of_ms": as_of_ms}
    if not as_json:
        since = "as of now" if as_of_ms is None else f"as of {format_ms(as_of_ms)}"
        show(f"publish {since}  {plain(topic.name)}:0:{offset}")
    if redis is not None:
        written_ms = _written_ms(redis, Keys(prefix).published(control.control_id), within_ms)
        if not as_json:
            show(f"written as of {format_ms(written_ms)}")
        result["written_ms"] = written_ms
    if as_json:
        click.echo(json.dumps(result))


def _written_ms(redis: Any, key: str, within_ms: int) -> int:
    """As of when everything was written.

    Raises:
        click.ClickException: nobody has said so within the time.
    """
    deadline = time.monotonic() + within_ms / 1000
    while (said := redis.get(key)) is None:
        if time.monotonic() > deadline:
            raise click.ClickException(
                f"not written within {within_ms / 1000:g} s: the job's time may not have come to it yet (the hash "
                "`meta` tells its time), no job may be running, or it writes to another Redis or under another --prefix"
            )
        time.sleep(POLL_S)
    return int(said)


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
    if one.control.kind == "publish":
        return "publish"
    if one.control.settings is not None:
        return ", ".join(f"{name} = {value}" for name, value in one.control.settings.items())
    return f"rules {one.version}"


def _in_force(one: Published) -> str:
    if one.control is None:
        return "-"
    if one.control.as_of_ms is not None:
        return f"as of {format_ms(one.control.as_of_ms)}"
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
        "as_of_ms": control and control.as_of_ms,
        "hold_ms": control and control.hold_ms,
        "refused": one.refused or None,
    }
