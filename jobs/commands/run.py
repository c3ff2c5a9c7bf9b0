"""`segmill run`: the main job on log files."""

import json
from decimal import Decimal
from pathlib import Path
from shlex import quote
from typing import Any

import click

from jobs.commands.console import grid, plain, progress, say, show, show_table, warn
from jobs.commands.options import (
    FORMATS,
    TimeParam,
    iso,
    population_option,
    redis_option,
    settings_from,
    settings_options,
    with_password,
)
from jobs.examples import ONLINE_RETAIL
from jobs.run import EmptyLogError, Progress, RunPlan, run
from jobs.runtime.workspace import workspace
from jobs.summary import Summary
from operators.redis_connection import RedisTarget
from schemas.logs import open_log
from schemas.settings import DAY_MS
from state.rules.ruleset import load_rules


class _Shown(Progress):
    """Progress bars for reading and processing."""

    def __init__(self, bars: Any) -> None:
        self._bars = bars
        self._task: Any = None
        self._what = ""

    def say(self, text: str) -> None:
        say(text)

    def warn(self, text: str) -> None:
        warn(text)

    def reading(self, records: int, position_bytes: int, total_bytes: int) -> None:
        self._show("reading", position_bytes, total_bytes, f"{records:,} records")

    def processing(self, events: int, total: int) -> None:
        # Flink takes some seconds to start, and after the last event all timers fire: the bar says so
        what = "starting Flink" if not events else "running" if events < total else "finishing"
        self._show(what, events, total, f"{events:,} events")

    def _show(self, what: str, done: int, total: int, note: str) -> None:
        if what != self._what:
            if self._task is not None:
                self._bars.remove_task(self._task)
            self._what = what
            self._task = self._bars.add_task(what, note=note)
        self._bars.update(self._task, completed=done, total=total, note=note)


@click.command("run")
@click.argument("events", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "log_format",
    type=click.Choice(FORMATS),
    default="auto",
    show_default=True,
    help="What the files hold; auto looks into each.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("out"),
    show_default=True,
    help="Folder for segment-changes.jsonl, rejected.jsonl, summary.json and redis.rdb.",
)
@redis_option("Redis to write to (redis://, rediss://, unix://). Default: an embedded one, left in --out.")
@click.option("--rules", "rules_file", type=click.Path(path_type=Path), help="Rule file. Default: the shipped rules.")
@click.option("--as-of", type=TimeParam(), help="Stop time here: later events are left out. Default: the newest event.")
@click.option(
    "--mode",
    type=click.Choice(["thread", "process"]),
    default="thread",
    show_default=True,
    help="How Flink runs Python: inside Java, or in processes beside it (a fallback, slower). Either way nothing "
    "listens beyond loopback.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@population_option
@settings_options
def run_command(
    events: tuple[Path, ...],
    log_format: str,
    out: Path,
    redis_url: str | None,
    rules_file: Path | None,
    as_of: int | None,
    mode: str,
    as_json: bool,
    settings_file: Path | None,
    currency: str | None,
    rates: tuple[tuple[str, Decimal], ...],
    lateness_days: float | None,
    population: bool | None,
) -> None:
    """Replay EVENTS (files or folders; .gz, .xz, .zst and Parquet too) and leave profiles, segments and similar items.

    Without EVENTS it runs on the Online Retail data set that comes with Segmill.

    \b
      segmill run                                   the shipped data set
      segmill run events.jsonl.gz --out result      your own log
      segmill run logs/ --rules my.toml --as-of 2026-03-01T00:00:00Z
      segmill run --population                      with clusters, percentiles and scores
    """
    settings, currency_given = settings_from(settings_file, currency, rates, lateness_days, population)
    rules = load_rules(rules_file)
    log = open_log(events or (ONLINE_RETAIL,), log_format)
    if not events:
        say("no EVENTS given: the Online Retail data set (Chen, 2015, UCI, CC BY 4.0; examples/README.md)")
    plan = RunPlan(
        log, settings, currency_given, rules, out, as_of, with_password(redis_url) if redis_url else None, mode
    )
    with workspace() as folder, progress(counted=False) as bars:
        try:
            summary = run(plan, folder, _Shown(bars))
        except EmptyLogError as error:
            raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(summary.as_dict(), indent=2, ensure_ascii=False))
    else:
        show_summary(summary, out, None if redis_url is None else RedisTarget(redis_url).address)
    if summary.late:
        warn(
            f"{summary.late:,} event{'s' if summary.late != 1 else ''} came too late to be applied (more than "
            f"{settings.allowed_lateness_ms / DAY_MS:.3g} days behind the newest one before): "
            "raise --allowed-lateness to have them"
        )


def show_summary(summary: Summary, out: Path, redis: str | None) -> None:
    """The summary for people; `redis`: the address of the server, if it was not an embedded one."""
    table = grid(" count", " outcome", right=(" count",))
    for name in ("read", "applied", "duplicate", "rejected", "late", "suppressed"):
        table.add_row(f"{getattr(summary, name):,}", f"{name}{_detail(summary, name)}")
    show_table(table)
    show(
        f"\n{summary.customers:,} customers as of {iso(summary.as_of_ms)}; "
        f"{summary.segment_changes:,} segment changes; amounts in {plain(summary.currency)}"
    )
    if summary.after_as_of:
        show(f"{summary.after_as_of:,} later records were left out")
    if summary.refunds_without_order:
        refunds = f"{summary.refunds_without_order:,} refund{'s' if summary.refunds_without_order > 1 else ''}"
        show(f"{refunds} without a known order: counted at the time of the refund")
    segments = grid("members", "segment", right=("members",))
    for name, members in sorted(summary.members.items(), key=lambda item: (-item[1], item[0])):
        segments.add_row(f"{members:,}", plain(name))
    for name, reason in summary.waiting.items():
        segments.add_row("-", f"{plain(name)} [dim]({plain(reason)})[/]")
    show()
    show_table(segments)
    show(f"\n{summary.wall_s:.1f} s in all, {summary.events_per_s:,.0f} events/s in the job")
    source = f"--from {quote(str(out))}" if redis is None else f"--redis {redis}"
    show(plain(f"changes, rejects and summary: {out}/   look at the rest: segmill show customer ID {source}"))


_MEANINGS = {
    "applied": "changed what is known",
    "duplicate": "came before under the same event_id",
    "late": "came after everything they would change was closed",
    "suppressed": "of customers who withdrew their consent",
}


def _detail(summary: Summary, name: str) -> str:
    if name == "rejected":
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in summary.rejected_by_reason.items())
        text = reasons and f"{reasons}; see rejected.jsonl"
    elif name == "read":
        text = "= the sum of the following" + (f"; from {summary.rows:,} rows" if summary.rows != summary.read else "")
    else:
        text = _MEANINGS[name] if getattr(summary, name) else ""
    return f" [dim]({plain(text)})[/]" if text else ""
