"""`segmill submit`: bring a live job to a Flink cluster."""

import json
import sys
from typing import Any

import click

from jobs.commands.console import say, show
from jobs.commands.flink_options import LengthParam, flink_option, settings_option
from jobs.commands.job_options import job_options, live_spec
from jobs.live.rest import Cluster
from jobs.live.submit import SUBMITTED_WITHIN_S, submit
from jobs.runtime.workspace import workspace


@click.group("submit")
def submit_group() -> None:
    """Bring a job to a running Flink cluster (docs/live.md)."""


@submit_group.command("segments")
@flink_option
@click.option(
    "--from-savepoint",
    metavar="PATH|latest",
    help="Go on from this savepoint or checkpoint; latest: the newest that the cluster remembers of the job's name.",
)
@click.option("--python", default=sys.executable, help="Python 3.11 with the requirements, on the cluster's machines.")
@settings_option
@click.option(
    "--within",
    "within_ms",
    type=LengthParam(),
    default=f"{SUBMITTED_WITHIN_S:g}s",
    show_default=True,
    help="Give up if the cluster has not taken the job by then.",
)
@click.option("--compiled/--no-compiled", default=True, help="Bring the compiled core along, if there is one.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@job_options
def segments_command(
    flink: str,
    from_savepoint: str | None,
    python: str,
    flink_settings: tuple[tuple[str, str], ...],
    within_ms: int,
    compiled: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Start the live job: events from Kafka, segments and similar items to Kafka and Redis.

    The topics must be there (`segmill topics create`). The job goes on when this command ends.

    \b
      segmill submit segments --bootstrap broker:9092 --redis redis://cache:6379 --parallelism 2
      segmill jobs
      segmill stop segmill                                stops it with a savepoint
      segmill submit segments --from-savepoint latest     goes on where it was
      segmill submit segments -D state.backend.type=rocksdb
    """
    spec = live_spec(**options)
    cluster = Cluster(flink)
    with workspace() as folder:
        job_id = submit(
            spec,
            cluster,
            folder,
            say,
            from_savepoint=from_savepoint,
            python=python,
            settings=dict(flink_settings),
            within_s=within_ms / 1000,
            compiled=compiled,
        )
    url = f"{cluster.url}/#/job/{job_id}"
    if as_json:
        click.echo(json.dumps({"job_id": job_id, "name": spec.name, "url": url}, indent=2))
    else:
        show(f"{spec.name} is job {job_id}: {url}")
