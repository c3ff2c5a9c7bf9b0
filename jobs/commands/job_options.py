"""Options that say what a live job is, wherever it is submitted from."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import click

from jobs.commands.flink_options import LengthParam
from jobs.commands.kafka_options import kafka_options, prefix_option
from jobs.commands.options import population_option, redis_option, settings_from, settings_options, with_password
from jobs.kafka_client import kafka_target
from jobs.live.settings import CHECKPOINT_EVERY_MS, NAME, QUIET_AFTER_MS, LiveSpec
from jobs.topics import Topics
from operators.redis_connection import RedisTarget
from state.rules.ruleset import load_rules

F = TypeVar("F", bound=Callable[..., Any])

REDIS = "redis://127.0.0.1:6379"


def job_options(command: F) -> F:
    """All options that `live_spec` takes."""
    for option in reversed(
        [
            kafka_options,
            prefix_option,
            redis_option(f"Redis to write to, as the cluster reaches it. Default: {REDIS}."),
            click.option("--parallelism", type=click.IntRange(1, 128), default=1, show_default=True,
                         help="Slots to run on."),
            click.option("--items-apart", is_flag=True,
                         help="Similar items, what is popular and experiments get as many slots of their own: segments "
                         "turn sooner where events are many."),
            click.option("--name", default=NAME, show_default=True,
                         help="Name of the job, its consumer group and its transactions."),
            click.option("--rules", "rules_file", type=click.Path(path_type=Path),
                         help="Rule file. Default: the shipped rules."),
            click.option("--starting", type=click.Choice(["earliest", "latest"]), default="earliest", show_default=True,
                         help="Where to begin in the topic without a savepoint."),
            click.option("--checkpoint-interval", "checkpoint_every_ms", type=LengthParam(),
                         default=f"{CHECKPOINT_EVERY_MS // 1000}s", show_default=True,
                         help="What the job writes to topics can be read after the next checkpoint."),
            click.option("--quiet-after", "quiet_after_ms", type=LengthParam(),
                         default=f"{QUIET_AFTER_MS // 1000}s", show_default=True,
                         help="A partition silent for so long holds nobody back; if all are, time goes on by the "
                         "clock."),
            population_option,
            settings_options,
        ]
    ):  # fmt: skip
        command = option(command)
    return command


def live_spec(
    bootstrap: str,
    kafka_config: Path | None,
    topic_prefix: str,
    redis_url: str | None,
    parallelism: int,
    name: str,
    rules_file: Path | None,
    items_apart: bool,
    starting: str,
    checkpoint_every_ms: int,
    quiet_after_ms: int,
    settings_file: Path | None,
    currency: str | None,
    rates: tuple[tuple[str, Decimal], ...],
    lateness_days: float | None,
    population: bool | None,
) -> LiveSpec:
    """What the options say.

    Raises:
        click.ClickException, RuleError, KafkaProblem, RedisFailure: one of them cannot be used.
    """
    settings, _ = settings_from(settings_file, currency, rates, lateness_days, population)
    rules = load_rules(rules_file)
    return LiveSpec(
        kafka=kafka_target(bootstrap, kafka_config),
        redis=RedisTarget(with_password(redis_url or REDIS), settings.redis_prefix),
        settings=settings,
        rules=rules.text,
        rules_source=rules.source,
        rule_version=rules.version,
        topics=Topics(topic_prefix),
        name=name,
        parallelism=parallelism,
        items_apart=items_apart,
        starting=starting,
        quiet_after_ms=quiet_after_ms,
        checkpoint_every_ms=checkpoint_every_ms,
    )
