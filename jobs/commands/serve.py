"""`segmill serve`: the HTTP API."""

import ipaddress
import signal
from pathlib import Path

import click

from jobs.commands.console import say
from jobs.commands.kafka_options import TopicParam, kafka_options
from jobs.commands.options import redis_option, settings_from, with_password
from jobs.kafka_client import kafka_target
from jobs.runtime.errors import RuntimeProblem
from jobs.stopping import INTERRUPTED_EXIT
from jobs.topics import Topics
from operators.redis_connection import RedisTarget
from state.rules.errors import RuleError
from state.rules.ruleset import load_rules

LOOPBACK = "127.0.0.1"
REDIS = f"redis://{LOOPBACK}:6379"
PORT = 8080


class ServeProblem(RuntimeProblem):
    """It cannot be served; the message says what to do."""


@click.command("serve")
@click.option("--host", default=LOOPBACK, show_default=True, help="Address to listen at; this machine only by default.")
@click.option("--port", type=click.IntRange(0, 65_535), default=PORT, show_default=True, help="0: a free one.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True,
              help="Processes, each with a cache of its own.")  # fmt: skip
@click.option("--keys", "keys_file", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              envvar="SEGMILL_SERVE_KEYS", help="File of API keys; `segmill keys new` makes one.")  # fmt: skip
@click.option("--without-keys", is_flag=True, help="Let everybody on this machine do everything.")
@click.option("--config", "config", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              envvar="SEGMILL_SERVE_CONFIG", help="TOML file of the server's settings (docs/serving.md).")  # fmt: skip
@click.option("--job-settings", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="The job's settings, by which events are checked (docs/settings.md).")  # fmt: skip
@click.option("--rules", "rules_file", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="The job's rules, by which segments are explained. Default: those shipped.")  # fmt: skip
@click.option("--certificate", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="For https: PEM.")
@click.option("--certificate-key", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Its key: PEM.")
@redis_option(f"The Redis that the job writes to. Default: {REDIS}.")
@click.option("--without-kafka", is_flag=True, help="Without /v1/events and /v1/changes.")
@click.option("--topic-prefix", type=TopicParam(), help="Stands before the names of topics. Default: as in --config.")
@kafka_options
def serve_command(
    host: str,
    port: int,
    workers: int,
    keys_file: Path | None,
    without_keys: bool,
    config: Path | None,
    job_settings: Path | None,
    rules_file: Path | None,
    certificate: Path | None,
    certificate_key: Path | None,
    redis_url: str | None,
    without_kafka: bool,
    topic_prefix: str | None,
    bootstrap: str,
    kafka_config: Path | None,
) -> None:
    """Serve recommendations, profiles, segments and similar items over HTTP (docs/serving.md).

    Reads what a job keeps in Redis, takes events for its topic, and streams segment changes. Keeps nothing itself, so
    any number may run. Runs until Ctrl-C or SIGTERM.

    \b
      segmill keys new shop-page --scope read >> keys.toml
      segmill serve --keys keys.toml
      segmill serve --without-keys --without-kafka     to look around on this machine
    """
    from serving.api_keys import KeyFileError, load_keys
    from serving.kafka import KafkaSettings
    from serving.server import ServePlan, serve
    from serving.settings import ServingSettingsError, load_serving_settings, read_files

    _check(host, keys_file, without_keys, certificate, certificate_key)
    host = LOOPBACK if host == "localhost" else host  # the server listens at addresses
    try:
        settings = load_serving_settings(config)
        keys = load_keys(keys_file) if keys_file is not None else None
        rules = load_rules(rules_file)
        files = read_files(settings, rules.known)
    except (ServingSettingsError, KeyFileError, RuleError) as error:
        raise ServeProblem(str(error)) from None
    target = RedisTarget(with_password(redis_url or REDIS), settings.redis_prefix)
    kafka = None
    if not without_kafka:
        known, topics = kafka_target(bootstrap, kafka_config), Topics(topic_prefix or settings.topic_prefix)
        kafka = KafkaSettings(bootstrap=known.bootstrap, client=dict(known.settings), events=topics.events.name,
                              segment_changes=topics.segment_changes.name)  # fmt: skip
    job, _ = settings_from(job_settings, None, (), None)
    plan = ServePlan(host=host, port=port, workers=workers, redis_url=target.url, kafka=kafka, keys=keys,
                     settings=settings, files=files, job=job, rules=rules, certificate=certificate,
                     certificate_key=certificate_key)  # fmt: skip
    whence = f"Redis {target.address}, " + (f"Kafka {kafka.bootstrap}" if kafka is not None else "without Kafka")
    try:
        stopped_by = serve(plan, lambda url: say(f"listening at {url}, {whence}"))
    except OSError as error:
        raise ServeProblem(f"cannot listen at {host}, port {port}: {error.strerror or error}") from None
    if stopped_by == signal.SIGINT:
        raise click.exceptions.Exit(INTERRUPTED_EXIT)


def _check(host: str, keys_file: Path | None, without_keys: bool, certificate: Path | None, key: Path | None) -> None:
    if (certificate is None) != (key is None):
        raise click.UsageError("--certificate and --certificate-key go together")
    if without_keys and keys_file is not None:
        raise click.UsageError("--keys and --without-keys contradict each other")
    if not without_keys and keys_file is None:
        raise click.UsageError("give --keys FILE (`segmill keys new NAME` makes one), or --without-keys")
    try:
        of_this_machine = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        raise click.UsageError(f"--host {host}: an IP address, such as 0.0.0.0, is needed") from None
    if without_keys and not of_this_machine:
        raise click.UsageError(f"--without-keys is for this machine only, and {host} is reached from outside")
