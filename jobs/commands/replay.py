"""`segmill replay`: a log into a Kafka topic."""

import json
from pathlib import Path
from shlex import quote
from typing import Any

import click

from jobs.commands.console import progress, say, warn
from jobs.commands.kafka_options import TopicParam, kafka_options
from jobs.commands.options import FORMATS, iso
from jobs.kafka_client import kafka_target
from jobs.replay.pace import Pace, parse_pace
from jobs.replay.replay import Replayed, ReplayPlan, ReplayProgress, replay
from jobs.stopping import stop_requests
from jobs.topics import Topics
from schemas.logs import open_log
from schemas.settings import Settings


class PaceParam(click.ParamType[Pace]):
    """max, 10x or 500/s."""

    name = "speed"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Pace:
        if isinstance(value, Pace):
            return value
        try:
            return parse_pace(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Shown(ReplayProgress):
    """A progress bar."""

    def __init__(self, bars: Any) -> None:
        self._bars = bars
        self._task = bars.add_task("replaying", total=None, note="")

    def say(self, text: str) -> None:
        say(text)

    def warn(self, text: str) -> None:
        warn(text)

    def moved(self, records: int, position_bytes: int, total_bytes: int, records_per_s: float) -> None:
        note = f"{records:,} records, {records_per_s:,.0f}/s"
        self._bars.update(self._task, completed=position_bytes, total=total_bytes, note=note)


@click.command("replay")
@click.argument("logs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="LOG…")
@click.option("--topic", type=TopicParam(), default=Topics().events.name, show_default=True, help="Where to.")
@click.option("--format", "log_format", type=click.Choice(FORMATS), default="auto", show_default=True,
              help="What the files hold; auto looks into each.")  # fmt: skip
@click.option("--speed", "pace", type=PaceParam(), default="max", show_default=True,
              help="max, 10x (event time ten times as fast as the clock) or 500/s (records a second).")  # fmt: skip
@click.option("--resume", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Keep the position in FILE, and go on from there if FILE exists.")  # fmt: skip
@kafka_options
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def replay_command(
    logs: tuple[Path, ...],
    topic: str,
    log_format: str,
    pace: Pace,
    resume: Path | None,
    bootstrap: str,
    kafka_config: Path | None,
    as_json: bool,
) -> None:
    """Replay LOG… (files or folders, as for `segmill run`) into a Kafka topic (docs/replay.md).

    Files are merged by time; each record's key is the customer and its timestamp the event's own time. What cannot be
    read goes there as it is, so that the job rejects it. A topic that would delete or refuse the history is refused.

    \b
      segmill replay 2025/ --resume 2025.position
      segmill replay shop.jsonl.zst --topic events --speed 500/s
    """
    target = kafka_target(bootstrap, kafka_config)
    plan = ReplayPlan(open_log(logs, log_format), topic, pace, resume, Settings().max_future_ms)
    with stop_requests() as stop, progress(counted=False) as bars:
        replayed = replay(plan, target, stop, _Shown(bars))
    if as_json:
        click.echo(json.dumps(replayed.as_dict(), indent=2))
    else:
        _tell(replayed)
    if not replayed.done:
        say(_how_to_go_on(replayed))
        raise click.exceptions.Exit(stop.exit_code)


def _tell(replayed: Replayed) -> None:
    new = replayed.records - replayed.before
    if not new:
        return
    say(
        f"{replayed.topic}: {new:,} records from {iso(replayed.first_ms)} to {iso(replayed.last_ms)}, "
        f"{replayed.wall_s:.1f} s, {replayed.records_per_s:,.0f}/s"
    )
    if replayed.unreadable:
        say(f"{replayed.unreadable:,} of them without a subject or a time: the job will say what is wrong with them")
    if replayed.cut:
        warn(f"{replayed.cut:,} were too large for the topic (max.message.bytes): cut, and so rejected by the job")


def _how_to_go_on(replayed: Replayed) -> str:
    stopped = f"stopped: {replayed.records:,} records of the log are in {replayed.topic}"
    return f"{stopped}; to go on, repeat the command with --resume {quote(str(replayed.resume))}"
