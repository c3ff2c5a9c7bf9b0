"""Settings that change what the jobs compute: read once from TOML, handed to every operator as it starts."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from schemas.toml_file import toml_document

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


class SettingsError(ValueError):
    """A settings file that cannot be used; the message says where and why."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything a run may set. Times are milliseconds of event time unless a name says otherwise."""

    currency: str = "USD"
    """What amounts are kept in (ISO 4217), and what an event without a currency is taken to be in."""
    rates: dict[str, Decimal] = {}
    """Units of `currency` for one unit of another one; amounts in a currency not named here are rejected."""
    out_of_orderness_ms: int = 5_000
    """How far the watermark stays behind the newest event."""
    allowed_lateness_ms: int = 7 * DAY_MS
    """How far behind the watermark an event is still applied, exactly; also the least horizon for duplicates."""
    max_future_ms: int = DAY_MS
    """How far ahead of the clock a timestamp may be before it is rejected."""
    max_record_bytes: int = 1 << 20
    """Longer records are rejected."""
    session_gap_ms: int = 30 * MINUTE_MS
    """A session without a producer's id ends after this long without an event; a cart is abandoned then."""
    session_id_idle_ms: int = DAY_MS
    """A producer's session id that was silent for longer starts a new session."""
    order_memory_ms: int = 730 * DAY_MS
    """How long an order can still be refunded exactly; lifetime totals keep it for ever."""
    conversion_window_ms: int = 7 * DAY_MS
    """An order counts for an experiment for so long after the customer was first shown something of it."""
    holdout_window_ms: int = 90 * DAY_MS
    """The same for the holdout, which asks what all experiments together bring in the long run."""
    profile_interval_ms: int = MINUTE_MS
    """A profile is written at most this often while nothing but its features changes; 0: at every event."""
    prompt_profiles_per_s: int = 500
    """So many profiles a second each subtask writes at once after an event, before that interval is over."""
    profile_refresh_ms: int = HOUR_MS
    """A profile whose window features changed by mere passing of time is rewritten within this time."""
    viewed_half_life_ms: int = 30 * DAY_MS
    """Half-life of a `viewed-with` interaction."""
    bought_half_life_ms: int = 90 * DAY_MS
    """Half-life of a `bought-with` interaction."""
    bought_span_ms: int = 30 * DAY_MS
    """Two purchases of a customer at most this far apart go together."""
    redis_prefix: str = "segmill:"
    """Stands before every Redis key."""
    population: dict[str, Any] = {}
    """What is learned of all customers together: state/population/settings.py says what may stand here."""


_AT_LEAST = {
    "order_memory_ms": 90 * DAY_MS,  # the longest window's orders are needed whole
    "max_record_bytes": 1,
    "session_gap_ms": 1,
    "session_id_idle_ms": 1,
    "viewed_half_life_ms": DAY_MS,
    "bought_half_life_ms": DAY_MS,
}
"""The least values of integers where it is not 0."""
_LARGEST = 1 << 53


def load_settings(path: Path | None) -> Settings:
    """Read settings from a TOML file; without one, the defaults.

    Raises:
        SettingsError: the file is missing, is not TOML, or holds a setting that does not exist, has the wrong type
            or is out of its range.
    """
    if path is None:
        return Settings()
    try:
        settings = msgspec.convert(toml_document(path, SettingsError), Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{path}: {error}") from error
    problem = _problem(settings)
    if problem:
        raise SettingsError(f"{path}: {problem}")
    return settings


def changed_settings(settings: Settings, changes: dict[str, object]) -> Settings:
    """Settings with some of them changed.

    Raises:
        SettingsError: a setting does not exist, has the wrong type or is out of its range.
    """
    values = {name: getattr(settings, name) for name in settings.__struct_fields__}
    try:
        changed = msgspec.convert({**values, **changes}, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(str(error)) from error
    problem = _problem(changed)
    if problem:
        raise SettingsError(problem)
    return changed


def names_currency(path: Path) -> bool:
    """Whether a settings file says which currency amounts are kept in.

    Raises:
        SettingsError: the file cannot be read.
    """
    return "currency" in toml_document(path, SettingsError)


def _problem(settings: Settings) -> str | None:
    """What is out of its range, or None."""
    for name in settings.__struct_fields__:
        value, least = getattr(settings, name), _AT_LEAST.get(name, 0)
        if isinstance(value, int) and not least <= value <= _LARGEST:
            return f"{name} = {value}: must be between {least} and {_LARGEST}"
    for name in ("conversion_window_ms", "holdout_window_ms"):
        if getattr(settings, name) > settings.order_memory_ms:
            longest_ms = settings.order_memory_ms
            return f"{name} = {getattr(settings, name)}: must be at most order_memory_ms, {longest_ms}"
    for currency in (settings.currency, *settings.rates):
        if not (len(currency) == 3 and currency.isascii() and currency.isalpha() and currency.isupper()):
            return f"{currency!r} is not a currency code of three capital letters"
    for currency, rate in settings.rates.items():
        if not rate.is_finite() or rate <= 0:
            return f"rates.{currency} = {rate}: must be a positive number"
    return None
