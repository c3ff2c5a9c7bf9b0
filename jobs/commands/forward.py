"""`segmill forward`: a topic to a webhook."""

import json
from hashlib import blake2b
from pathlib import Path

import click

from jobs.commands.console import say
from jobs.commands.flink_options import SecondsParam
from jobs.commands.kafka_options import TopicParam, kafka_options
from jobs.forward.endpoint import Endpoint, checked_url, shown_url
from jobs.forward.forward import ForwardPlan, Report, Starting, forward
from jobs.forward.signature import SECRET_VARIABLE, read_secrets
from jobs.kafka_client import kafka_target
from jobs.stopping import INTERRUPTED_EXIT, stop_requests
from jobs.topics import Topics


@click.command("forward")
@click.option(
    "--topic", type=TopicParam(), default=Topics().segment_changes.name, show_default=True, help="From where."
)
@click.option(
    "--url", required=True, envvar="SEGMILL_WEBHOOK_URL", help="To where: https://…, or http:// to this machine."
)
@click.option("--secret-file", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help=f"File with the signing secret, whsec_…; several all sign. Default: {SECRET_VARIABLE}.")  # fmt: skip
@click.option("--dead-letters", type=TopicParam(), help="Topic for what cannot be delivered, made if there is none; "
              "not one of a job's. Default: that of --topic with -dead.")  # fmt: skip
@click.option("--group", help="Consumer group. Default: one for each topic and URL.")
@click.option("--starting", type=click.Choice(["earliest", "latest"]), default="earliest", show_default=True,
              help="Where a new group begins.")  # fmt: skip
@click.option("--workers", type=click.IntRange(1, 256), default=8, show_default=True,
              help="Requests at the same time; those of one customer go one after the other.")  # fmt: skip
@click.option("--timeout", "timeout_s", type=click.FloatRange(0.1, 300), default=15.0, show_default=True,
              metavar="SECONDS", help="For an answer to begin.")  # fmt: skip
@click.option("--retry-for", "retry_for_s", type=click.FloatRange(0), default=3600.0, show_default=True,
              metavar="SECONDS", help="How long a record is tried before it becomes a dead letter.")  # fmt: skip
@click.option("--report-every", "report_every_s", type=SecondsParam(0.1), default=10.0, show_default=True,
              metavar="LENGTH", help="A line of figures: 500ms, 2s, 1min; without a unit, seconds.")  # fmt: skip
@click.option("--allow-http", is_flag=True, help="Send customers' data in the clear over the network.")
@kafka_options
@click.option("--json", "as_json", is_flag=True, help="Print figures as lines of JSON on standard output.")
def forward_command(
    topic: str,
    url: str,
    secret_file: Path | None,
    dead_letters: str | None,
    group: str | None,
    starting: Starting,
    workers: int,
    timeout_s: float,
    retry_for_s: float,
    report_every_s: float,
    allow_http: bool,
    bootstrap: str,
    kafka_config: Path | None,
    as_json: bool,
) -> None:
    """Send each record of a topic to a webhook, signed as Standard Webhooks has it (docs/subscribers.md).

    At least once, in order for each customer. What fails is tried again with growing pauses; what the receiver
    refuses, or what fails for too long, goes to a topic of dead letters. Runs until Ctrl-C or SIGTERM; the next call
    goes on from there.

    \b
      segmill forward --url https://crm.example/segments --secret-file secret
      segmill forward --url http://127.0.0.1:8000/ --topic segment-memberships --starting latest
    """
    url = checked_url(url, allow_http=allow_http)
    secrets = read_secrets(secret_file)
    target = kafka_target(bootstrap, kafka_config)
    plan = ForwardPlan(
        topic=topic,
        group=group or f"segmill-forward-{topic}-{blake2b(shown_url(url).encode(), digest_size=4).hexdigest()}",
        dead_letters=dead_letters or f"{topic}-dead",
        workers=workers,
        retry_for_s=retry_for_s,
        timeout_s=timeout_s,
        starting=starting,
        report_every_s=report_every_s,
    )
    endpoint = Endpoint(url, secrets, workers, timeout_s)

    def report(figures: Report) -> None:
        if as_json:
            click.echo(json.dumps(figures.as_dict()))
        else:
            say(_line(figures))

    say(f"{topic} to {shown_url(url)}, group {plan.group}; dead letters: {plan.dead_letters}")
    with stop_requests() as stop:
        report(forward(plan, target, endpoint, stop, report))
    endpoint.close()
    if stop.exit_code == INTERRUPTED_EXIT:  # SIGTERM is how a service is meant to end
        raise click.exceptions.Exit(INTERRUPTED_EXIT)


def _line(figures: Report) -> str:
    failed = f", {figures.failed_attempts:,} attempts failed (the last: {figures.last_failure})"
    return (
        f"{figures.delivered:,} delivered ({figures.delivered_per_s:,.1f}/s), {figures.dead:,} dead, "
        f"{figures.under_way:,} under way, {figures.lag:,} waiting{failed if figures.failed_attempts else ''}"
    )
