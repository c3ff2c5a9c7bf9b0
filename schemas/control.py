"""Control records: other rules or other settings for a running job, or a moment as of which it writes everything.

    {"control_id": "2026-03-01 spring", "kind": "rules", "rules": "<a rule file's text>", "effective_ms": 1772323200000}
    {"control_id": "7", "kind": "settings", "settings": {"profile_interval_ms": 10000}}
    {"control_id": "end of 2025", "kind": "publish", "as_of_ms": 1767225600000}

What does not fit is refused whole: a record either takes effect as it is, or it does nothing.
"""

from decimal import Decimal
from typing import Any, Final, Literal

import msgspec

from schemas.rejects import Reason, Rejected
from schemas.settings import Settings, SettingsError, changed_settings

ID_MAX_CHARS: Final = 200
CONTROL_BYTE: Final = ord("{")
"""First byte of a record, which tells it from arrays of MessagePack in the same stream."""
MOST_HOLD_MS: Final = 3_600_000
LATEST_MS: Final = 253_402_300_799_999
"""The last millisecond of the year 9999."""
LIVE_SETTINGS: Final = (
    "profile_interval_ms",
    "prompt_profiles_per_s",
    "profile_refresh_ms",
    "max_future_ms",
    "max_record_bytes",
    "rates",
)
"""What may change while a job runs: what has been computed already does not depend on it."""


class Control(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One record of the control topic, of a known shape. `check_settings` and a rule set's own checks come on top."""

    control_id: str
    """Names the record; a second one with the same name does nothing."""
    kind: Literal["rules", "settings", "publish"]
    rules: str | None = None
    """The text of a rule file."""
    settings: dict[str, Any] | None = None
    """Settings by name; those not named stay as they are."""
    effective_ms: int | None = None
    """Event time from which on rules are in force. None, or a time that has passed: now."""
    as_of_ms: int | None = None
    """Event time as of which everything is written. None, or a time that has passed: now."""
    hold_ms: int | None = None
    """How long time then stands still on a quiet topic, by the wall clock. None: a minute."""


_decoder = msgspec.json.Decoder(Control, float_hook=Decimal)
_encoder = msgspec.json.Encoder()


def encode_control(control: Control) -> bytes:
    """The record as JSON; decimals become strings, which keep every digit."""
    return _encoder.encode(control)


def decode_control(raw: bytes, max_bytes: int) -> Control:
    """Read a control record.

    Raises:
        Rejected: it does not have the shape of one; the detail says what is wrong.
    """
    if len(raw) > max_bytes:
        raise refused(f"the record has {len(raw)} bytes; at most {max_bytes} are read")
    try:
        control = _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:  # a ValidationError is a DecodeError
        raise refused(f"no control record: {error}") from error
    problem = _problem(control)
    if problem:
        raise refused(problem)
    return control


def _problem(control: Control) -> str | None:
    if not 0 < len(control.control_id) <= ID_MAX_CHARS:
        return f"control_id must have between 1 and {ID_MAX_CHARS} characters"
    for name in ("effective_ms", "as_of_ms"):
        time_ms = getattr(control, name)
        if time_ms is not None and not 0 <= time_ms <= LATEST_MS:
            return f"{name} = {time_ms}: must be milliseconds since 1970, at most {LATEST_MS}"
    if control.kind == "publish":
        if control.rules is not None or control.settings is not None or control.effective_ms is not None:
            return 'a record of kind "publish" has `as_of_ms` and `hold_ms` or nothing else'
        if control.hold_ms is not None and not 0 <= control.hold_ms <= MOST_HOLD_MS:
            return f"hold_ms = {control.hold_ms}: must be between 0 and {MOST_HOLD_MS}"
        return None
    if control.as_of_ms is not None or control.hold_ms is not None:
        return f'a record of kind "{control.kind}" has no `as_of_ms` and no `hold_ms`'
    if control.kind == "rules":
        if control.rules is None or control.settings is not None:
            return 'a record of kind "rules" has `rules`, the text of a rule file, and no `settings`'
        return None
    if control.settings is None or control.rules is not None:
        return 'a record of kind "settings" has `settings`, and no `rules`'
    if control.effective_ms is not None:
        return "settings take effect as soon as they are read: leave effective_ms out"
    return None


def check_settings(settings: Settings, changes: dict[str, Any]) -> Settings:
    """The settings with some changed.

    Raises:
        Rejected: one of them cannot be changed while a job runs, does not exist, or is out of its range.
    """
    fixed = [name for name in changes if name in Settings.__struct_fields__ and name not in LIVE_SETTINGS]
    if fixed:
        raise refused(
            f"{', '.join(fixed)}: cannot change while the job runs, what is known of customers depends on it; "
            f"start the job anew with another settings file (changes live: {', '.join(LIVE_SETTINGS)})"
        )
    try:
        return changed_settings(settings, changes)
    except SettingsError as error:
        raise refused(str(error)) from error


def refused(detail: str) -> Rejected:
    """The rejection of a control record."""
    return Rejected(Reason.INVALID_CONTROL, detail)
