"""Options that several commands share, and how their values are read."""

import math
import os
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

import click
import msgspec
from click.core import ParameterSource

from schemas.settings import DAY_MS, HOUR_MS, MINUTE_MS, Settings, SettingsError, load_settings, names_currency
from schemas.timestamps import EARLIEST_MS, parse_rfc3339
from state.population.settings import population_settings

F = TypeVar("F", bound=Callable[..., Any])

MOST_DAYS = 36_500
FORMATS = ("auto", "canonical", "segment", "ga4", "online-retail")
LATEST_MS = 7_258_118_400_000
"""2200-01-01T00:00:00Z"""
PASSWORD_VARIABLE = "SEGMILL_REDIS_PASSWORD"  # noqa: S105  (the name of it)


class TimeParam(click.ParamType[int]):
    """Epoch milliseconds, or RFC 3339 with a zone."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            time_ms = int(value) if value.isdecimal() else parse_rfc3339(value)
        except ValueError:
            self.fail(f"{value!r}: write 2011-12-09T12:50:00Z (with a zone), or milliseconds since 1970", param, ctx)
        if not EARLIEST_MS <= time_ms <= LATEST_MS:
            hint = "; milliseconds are needed, not seconds" if 10**8 <= time_ms < 10**11 else ""
            self.fail(f"{value!r}: not between 1990 and 2200{hint}", param, ctx)
        return time_ms


class RateParam(click.ParamType[tuple[str, Decimal]]):
    """CODE=RATE, such as EUR=1.08: units of the run's currency for one unit of that one."""

    name = "code=rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Decimal]:
        if isinstance(value, tuple):
            return value
        code, _, rate = value.partition("=")
        try:
            amount = Decimal(rate)
        except InvalidOperation:
            self.fail(f"{value!r} is not CODE=RATE, such as EUR=1.08", param, ctx)
        if len(code) != 3 or not code.isalpha() or not amount.is_finite() or amount <= 0:
            self.fail(f"{value!r} is not CODE=RATE with a positive rate, such as EUR=1.08", param, ctx)
        return code.upper(), amount


class DaysParam(click.FloatRange):
    """A length of time in days; click's own range lets `nan` pass."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        days = float(super().convert(value, param, ctx))
        if math.isnan(days):
            self.fail("nan is not in the range", param, ctx)
        return days


class CurrencyParam(click.ParamType[str]):
    """Three letters of ISO 4217."""

    name = "code"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if len(value) != 3 or not (value.isascii() and value.isalpha()):
            self.fail(f"{value!r} is not a currency code of three letters, such as EUR", param, ctx)
        return str(value).upper()


def redis_option(help_text: str) -> Callable[[F], F]:
    """--redis URL; a password comes from the environment, so that it is in no process list."""
    return click.option("--redis", "redis_url", metavar="URL", envvar="SEGMILL_REDIS_URL", help=help_text)


def redis_unless_from(left_in: Path | None, redis_url: str | None) -> str | None:
    """The Redis to read; None if --from is given: then an address that is only in the environment does not count.

    Raises:
        click.UsageError: both were given on the command line.
    """
    if left_in is None or redis_url is None:
        return redis_url
    if click.get_current_context().get_parameter_source("redis_url") is not ParameterSource.ENVIRONMENT:
        raise click.UsageError("--from and --redis name two sources: give one")
    return None


def settings_options(command: F) -> F:
    """--settings, --currency, --rate and --allowed-lateness."""
    for option in reversed(
        [
            click.option("--settings", "settings_file", type=click.Path(path_type=Path, exists=True, dir_okay=False),
                         help="TOML file of settings (docs/settings.md)."),
            click.option("--currency", metavar="CODE", type=CurrencyParam(),
                         help="Currency that amounts are kept in. Default: the log's."),
            click.option("--rate", "rates", type=RateParam(), multiple=True,
                         help="Convert another currency, such as EUR=1.08. May be repeated."),
            click.option("--allowed-lateness", "lateness_days", type=DaysParam(0, MOST_DAYS), metavar="DAYS",
                         help="How late an event may be and still be applied. Default: 7."),
        ]
    ):  # fmt: skip
        command = option(command)
    return command


def population_option(command: F) -> F:
    """--population, which wins over the settings file."""
    return click.option(
        "--population/--no-population",
        default=None,
        help="Whether to learn percentiles, clusters and scores of all customers, and to run the segments that ask "
        "about them (docs/population.md). Default: as the settings say.",
    )(command)


def settings_from(
    settings_file: Path | None,
    currency: str | None,
    rates: tuple[tuple[str, Decimal], ...],
    lateness_days: float | None,
    population: bool | None = None,
) -> tuple[Settings, bool]:
    """The settings that the options ask for, and whether they name a currency.

    Raises:
        click.ClickException: the settings file cannot be used.
    """
    changes: dict[str, Any] = {}
    if currency is not None:
        changes["currency"] = currency
    if lateness_days is not None:
        changes["allowed_lateness_ms"] = round(lateness_days * DAY_MS)
    try:
        settings = load_settings(settings_file)
        if rates:
            changes["rates"] = {**settings.rates, **dict(rates)}
        if population is not None:
            changes["population"] = {**settings.population, "enabled": population}
        settings = msgspec.structs.replace(settings, **changes)
        population_settings(settings)  # so that faults in its table are told now
        return settings, currency is not None or (settings_file is not None and names_currency(settings_file))
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


def with_password(url: str) -> str:
    """A Redis address with the password from the environment, if there is one and the address has none."""
    password = os.environ.get(PASSWORD_VARIABLE)
    try:
        parts = urlsplit(url)
    except ValueError:  # no address: whoever connects says so
        return url
    if not password or parts.password or parts.scheme == "unix":
        return url
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}"))


def iso(time_ms: int | None) -> str:
    """A time for people."""
    if time_ms is None:
        return "-"
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S") + (f".{time_ms % 1000:03d}" if time_ms % 1000 else "") + "Z"


def duration(value_ms: int) -> str:
    """A length of time for people."""
    for unit_ms, name, places in ((DAY_MS, "d", 1), (HOUR_MS, "h", 1), (MINUTE_MS, "min", 0)):
        if value_ms >= unit_ms:
            return f"{value_ms / unit_ms:.{places}f} {name}"
    return f"{value_ms / 1000:g} s"
