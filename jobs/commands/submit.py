"""`segmill submit`: bring a live job to a Flink cluster."""

import json
import sys
from decimal import Decimal
from pathlib import Path

import click

from jobs.commands.console import say, show
from jobs.commands.flink_options import LengthParam, flink_option
from jobs.commands.kafka_options import kafka_options, prefix_option
from jobs.commands.options import redis_option, settings_from, settings_options, with_password
from jobs.kafka_client import kafka_target
from jobs.live.rest import Cluster
from jobs.live.settings import CHECKPOINT_EVERY_MS, NAME, QUIET_AFTER_MS, LiveSpec
from jobs.live.submit import submit
from jobs.runtime.workspace import workspace
from jobs.topics import Topics
from operators.redis_connection import RedisTarget
from state.rules.ruleset import load_rules

REDIS = "redis://127.0.0.1:6379"


@click.group("submit")
def submit_group() -> None:
    """Bring a job to a running Flink cluster (docs/live.md)."""


@submit_group.command("segments")
@kafka_options
@prefix_option
@redis_option(f"Redis to write to (redis://, rediss://, unix://), as the cluster reaches it. Default: {REDIS}.")
@flink_option
@click.option("--parallelism", type=click.IntRange(1, 128), default=1, show_default=True, help="Slots to run on.")
@click.option("--name", default=NAME, show_default=True, help="Name of the job, its consumer group and transactions.")
@click.option("--rules", "rules_file", type=click.Path(path_type=Path), help="Rule file. Default: the shipped rules.")
@click.option(
    "--from-savepoint",
    metavar="PATH|latest",
    help="Go on from this savepoint or checkpoint; latest: the newest that the cluster remembers of the job's name.",
)
@click.option(
    "--starting",
    type=click.Choice(["earliest", "latest"]),
    default="earliest",
    show_default=True,
    help="Where to begin in the topic without a savepoint.",
)
@click.option(
    "--checkpoint-interval",
    "checkpoint_every_ms",
    type=LengthParam(),
    default=f"{CHECKPOINT_EVERY_MS // 1000}s",
    show_default=True,
    help="Between two checkpoints; what the job writes to topics can be read after the next one.",
)
@click.option(
    "--quiet-after",
    "quiet_after_ms",
    type=LengthParam(),
    default=f"{QUIET_AFTER_MS // 1000}s",
    show_default=True,
    help="A partition silent for so long holds nobody back; if all are, time goes on by the clock.",
)
@click.option("--python", default=sys.executable, help="Python 3.11 with the requirements, on the cluster's machines.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@settings_options
def segments_command(
    bootstrap: str,
    kafka_config: Path | None,
    topic_prefix: str,
    redis_url: str | None,
    flink: str,
    parallelism: int,
    name: str,
    rules_file: Path | None,
    from_savepoint: str | None,
    starting: str,
    checkpoint_every_ms: int,
    quiet_after_ms: int,
    python: str,
    as_json: bool,
    settings_file: Path | None,
    currency: str | None,
    rates: tuple[tuple[str, Decimal], ...],
    lateness_days: float | None,
) -> None:
    """Start the live job: events from Kafka, segments and similar items to Kafka and Redis.

    The topics must be there (`segmill topics create`). The job goes on when this command ends.

    \b
      segmill submit segments --bootstrap broker:9092 --redis redis://cache:6379 --parallelism 2
      segmill jobs
      segmill stop segmill                                stops it with a savepoint
      segmill submit segments --from-savepoint latest     goes on where it was
    """
    settings, _ = settings_from(settings_file, currency, rates, lateness_days)
    rules = load_rules(rules_file)
    spec = LiveSpec(
        kafka=kafka_target(bootstrap, kafka_config),
        redis=RedisTarget(with_password(redis_url or REDIS), settings.redis_prefix),
        settings=settings,
        rules=rules.text,
        rules_source=rules.source,
        topics=Topics(topic_prefix),
        name=name,
        parallelism=parallelism,
        starting=starting,
        quiet_after_ms=quiet_after_ms,
        checkpoint_every_ms=checkpoint_every_ms,
    )
    cluster = Cluster(flink)
    with workspace() as folder:
        job_id = submit(spec, cluster, folder, say, from_savepoint=from_savepoint, python=python)
    if as_json:
        document = {
            "job_id": job_id,
            "name": name,
            "url": f"{cluster.url}/#/job/{job_id}",
            "rule_version": rules.version,
        }
        click.echo(json.dumps(document, indent=2))
    else:
        show(f"{name} is job {job_id}, rules {rules.version}: {cluster.url}/#/job/{job_id}")
