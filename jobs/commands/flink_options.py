"""Options of all commands that talk to a Flink cluster."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from jobs.live.rest import DEFAULT

F = TypeVar("F", bound=Callable[..., Any])

_LENGTH = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|h)")
_UNITS_MS = {"ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000}


class LengthParam(click.ParamType[int]):
    """A length of time with its unit, as milliseconds: 500ms, 5s, 2min, 1h."""

    name = "length"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        stated = _LENGTH.fullmatch(value.strip())
        length_ms = round(float(stated[1]) * _UNITS_MS[stated[2]]) if stated else 0
        if length_ms <= 0:
            self.fail(f"{value!r}: a length of time with its unit, such as 500ms, 5s, 2min or 1h", param, ctx)
        return length_ms


class SecondsParam(click.FloatRange):
    """A length of time in seconds: a number of them, or a length with its unit, 500ms, 5s, 2min, 1h."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, str) and _LENGTH.fullmatch(value.strip()):
            value = LengthParam().convert(value, param, ctx) / 1000
        return float(super().convert(value, param, ctx))


class SettingParam(click.ParamType[tuple[str, str]]):
    """One of Flink's settings as NAME=VALUE."""

    name = "setting"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        name, equals, setting = value.partition("=")
        if not name.strip() or not equals:
            self.fail(f"{value!r}: NAME=VALUE, such as state.backend.type=rocksdb", param, ctx)
        return name.strip(), setting.strip()


def settings_option(command: F) -> F:
    """-D."""
    return click.option(
        "-D", "flink_settings", metavar="NAME=VALUE", type=SettingParam(), multiple=True,
        help="One of Flink's settings, for this job alone; may be repeated.",
    )(command)  # fmt: skip


def flink_option(command: F) -> F:
    """--flink."""
    return click.option(
        "--flink", metavar="HOST:PORT", envvar="SEGMILL_FLINK", default=DEFAULT, show_default=True,
        help="REST interface of the Flink cluster.",
    )(command)  # fmt: skip
