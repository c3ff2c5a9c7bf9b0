"""`segmill jobs` and `segmill stop`: what runs on a Flink cluster, and how to end it."""

import json
from typing import Any

import click

from jobs.commands.console import grid, plain, say, show, show_table
from jobs.commands.flink_options import LengthParam, flink_option
from jobs.commands.options import duration, iso
from jobs.live.rest import RUNNING, Cluster, ClusterProblem, Job

_SAVEPOINT_WITHIN = "10min"
_HOW = {"CANCELED": "cancelled", "FAILED": "it failed before it was cancelled", "FINISHED": "it had finished"}


@click.command("jobs")
@flink_option
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
def jobs_command(flink: str, as_json: bool) -> None:
    """List the jobs of a Flink cluster, newest first, with their checkpoints.

    \b
      segmill jobs
      segmill jobs --flink jobmanager:8081 --json
    """
    cluster = Cluster(flink)
    listed = [_described(cluster, job) for job in cluster.jobs()]
    if as_json:
        click.echo(json.dumps(listed, indent=2))
        return
    if not listed:
        show(f"no jobs at {plain(cluster.url)}")
        return
    table = grid(
        "job", "name", "state", "started", "restarts", "checkpoints", "newest", "took", "size", right=("size",)
    )
    for job in listed:
        newest = job["checkpoint"] or {}
        table.add_row(
            job["job_id"],
            plain(job["name"]),
            job["state"].lower(),
            iso(job["started_ms"]),
            "-" if job["restarts"] is None else str(job["restarts"]),
            f"{job['checkpoints_completed']} ({job['checkpoints_failed']} failed)",
            iso(newest.get("at_ms")),
            duration(newest["took_ms"]) if newest else "-",
            f"{newest['bytes']:,}" if newest else "-",
        )
    show_table(table)


@click.command("stop")
@click.argument("job")
@flink_option
@click.option(
    "--savepoint", "savepoint_dir", metavar="DIR", help="Where the savepoint goes. Default: the cluster's own."
)
@click.option("--now", is_flag=True, help="Cancel it without a savepoint; its last checkpoint stays.")
@click.option(
    "--within",
    "patience_ms",
    type=LengthParam(),
    default=_SAVEPOINT_WITHIN,
    show_default=True,
    help="How long to wait for the savepoint, or with --now for its end.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def stop_command(job: str, flink: str, savepoint_dir: str | None, now: bool, patience_ms: int, as_json: bool) -> None:
    """Stop JOB (its id or name) with a savepoint, from which `segmill submit --from-savepoint` goes on.

    \b
      segmill stop segmill
      segmill stop segmill --savepoint s3://bucket/savepoints
    """
    cluster, ended = Cluster(flink), ""
    found = cluster.job(job)
    if found.state not in RUNNING:
        raise ClusterProblem(f"{found.name} ({found.job_id}) does not run: {found.state.lower()}")
    if now:
        cluster.cancel(found.job_id)
        say(f"cancelling {found.name} ({found.job_id})")
        ended = cluster.wait_ended(found.job_id, patience_ms / 1000)
        location = None
    else:
        say(f"making a savepoint of {found.name} ({found.job_id})")
        location = cluster.stop(found.job_id, savepoint_dir, patience_ms / 1000)
    if as_json:
        click.echo(json.dumps({"job_id": found.job_id, "name": found.name, "savepoint": location}, indent=2))
    else:
        show(_HOW[ended] if location is None else f"stopped; savepoint: {plain(location)}")


def _described(cluster: Cluster, job: Job) -> dict[str, Any]:
    checkpoints = cluster.checkpoints(job.job_id)
    counts, newest = checkpoints.get("counts", {}), (checkpoints.get("latest") or {}).get("completed")
    savepoint = (checkpoints.get("latest") or {}).get("savepoint")
    return {
        "job_id": job.job_id,
        "name": job.name,
        "state": job.state,
        "started_ms": job.started_ms,
        "restarts": cluster.restarts(job.job_id) if job.state in RUNNING else None,
        "checkpoints_completed": counts.get("completed", 0),
        "checkpoints_failed": counts.get("failed", 0),
        "checkpoint": newest
        and {
            "at_ms": newest["latest_ack_timestamp"],
            "took_ms": newest["end_to_end_duration"],
            "bytes": newest["state_size"],
            "path": newest.get("external_path"),
        },
        "savepoint": savepoint and savepoint.get("external_path"),
    }
