"""Options of all commands that talk to Kafka."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from jobs.topics import NAME

F = TypeVar("F", bound=Callable[..., Any])

BOOTSTRAP = "127.0.0.1:9092"


class TopicParam(click.ParamType[str]):
    """A topic's name, or the beginning of one."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value and not re.fullmatch(NAME, value):
            self.fail(f"{value!r}: letters, digits, '.', '_' and '-', at most 249", param, ctx)
        return str(value)


def kafka_options(command: F) -> F:
    """--bootstrap and --kafka-config."""
    for option in reversed(
        [
            click.option("--bootstrap", metavar="HOST:PORT,…", envvar="SEGMILL_BOOTSTRAP", default=BOOTSTRAP,
                         show_default=True, help="Kafka brokers."),
            click.option("--kafka-config", type=click.Path(path_type=Path, exists=True, dir_okay=False),
                         help="File of client settings (TLS, SASL, …), name=value in librdkafka's names "
                         "(docs/kafka.md)."),
        ]
    ):  # fmt: skip
        command = option(command)
    return command


def prefix_option(command: F) -> F:
    """--topic-prefix."""
    return click.option(
        "--topic-prefix", type=TopicParam(), default="", help="Stands before the name of every topic, such as shop-2."
    )(command)
