"""`segmill topics`: make the topics of a live job, and check those that are there."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from jobs.commands.console import grid, plain, show, show_table
from jobs.commands.kafka_options import kafka_options, prefix_option
from jobs.kafka_client import kafka_target
from jobs.topic_care import PARTITIONS, Found, TopicCare
from jobs.topics import Topics

WRONG = 3
F = TypeVar("F", bound=Callable[..., Any])


@click.group("topics")
def topics_group() -> None:
    """Make the Kafka topics of a live job, and check those that are there (docs/kafka.md describes them)."""


def _common(command: F) -> F:
    for option in reversed(
        [
            kafka_options,
            prefix_option,
            click.option("--partitions", type=click.IntRange(min=1), metavar="N",
                         help=f"Of every topic but control, which has one. Default for new topics: {PARTITIONS}."),
            click.option("--replication", type=click.IntRange(min=1), metavar="N",
                         help="Copies of every topic. Default for new topics: 3, or as many as there are brokers."),
            click.option("--json", "as_json", is_flag=True, help="Print the result as JSON."),
        ]
    ):  # fmt: skip
        command = option(command)
    return command


@topics_group.command("create")
@click.option("--repair", is_flag=True, help="Change the settings of topics that differ.")
@_common
def create_command(
    bootstrap: str,
    kafka_config: Path | None,
    topic_prefix: str,
    partitions: int | None,
    replication: int | None,
    repair: bool,
    as_json: bool,
) -> None:
    """Make the topics that are missing; say what is wrong with those that are there.

    Exits with 3 if one of them is not as a live job needs it. Nothing that exists is changed without --repair, and
    the number of partitions never is: a customer's events would go to another partition than those before.

    \b
      segmill topics create
      segmill topics create --bootstrap broker:9092 --partitions 32 --topic-prefix shop-2.
    """
    care = TopicCare(kafka_target(bootstrap, kafka_config))
    _tell(care.create(Topics(topic_prefix).all, partitions, replication, repair=repair), as_json)


@topics_group.command("check")
@_common
def check_command(
    bootstrap: str,
    kafka_config: Path | None,
    topic_prefix: str,
    partitions: int | None,
    replication: int | None,
    as_json: bool,
) -> None:
    """Hold the topics against what a live job needs; exits with 3 if one is missing or differs.

    \b
      segmill topics check --bootstrap broker:9092
    """
    care = TopicCare(kafka_target(bootstrap, kafka_config))
    _tell(care.check(Topics(topic_prefix).all, partitions, replication), as_json)


def _tell(found: list[Found], as_json: bool) -> None:
    wrong = [one for one in found if one.state in ("differs", "missing")]
    if as_json:
        click.echo(json.dumps({"ok": not wrong, "topics": [one.as_dict() for one in found]}, indent=2))
    else:
        _show(found, wrong)
    if wrong:
        raise click.exceptions.Exit(WRONG)


def _show(found: list[Found], wrong: list[Found]) -> None:
    table = grid("topic", "", "partitions", "copies", right=("partitions", "copies"))
    for one in found:
        counts = ("-", "-") if one.state == "missing" else (str(one.partitions), str(one.replication))
        table.add_row(plain(one.topic.name), one.state, *counts)
    show_table(table)
    for one in wrong:
        for difference in one.differences:
            name = plain(f"{one.topic.name}: {difference.setting}")
            hint = "" if difference.repairable else " (cannot be changed in place)"
            show(f"{name} is {plain(difference.found)}, needed is {plain(difference.needed)}{hint}")
    if any(one.state == "missing" for one in wrong):
        show("missing ones are made by `segmill topics create`")
    if any(difference.repairable for one in wrong for difference in one.differences):
        show("`segmill topics create --repair` changes the settings that can be changed")
