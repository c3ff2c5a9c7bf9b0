"""Control records: what has their shape is read, all else is refused with the reason."""

import json
from decimal import Decimal
from typing import Any

import pytest

from schemas.control import LIVE_SETTINGS, Control, check_settings, decode_control, encode_control
from schemas.rejects import Reason, Rejected
from schemas.settings import Settings

RULES = {"control_id": "a", "kind": "rules", "rules": "x"}
PUBLISH = {"control_id": "a", "kind": "publish"}
SETTINGS = {"control_id": "a", "kind": "settings", "settings": {"max_record_bytes": 10}}


def refusal(record: Any) -> str:
    raw = record if isinstance(record, bytes) else json.dumps(record).encode()
    with pytest.raises(Rejected) as caught:
        decode_control(raw, 10_000)
    assert caught.value.reason == Reason.INVALID_CONTROL
    return caught.value.detail


class TestShape:
    @pytest.mark.parametrize(
        "record", [RULES, {**RULES, "effective_ms": 5}, SETTINGS, PUBLISH, {**PUBLISH, "as_of_ms": 5, "hold_ms": 0}]
    )
    def test_what_fits_is_read_and_written_as_it_was(self, record: dict[str, Any]) -> None:
        assert json.loads(encode_control(decode_control(json.dumps(record).encode(), 10_000))) == record

    @pytest.mark.parametrize(
        ("record", "says"),
        [
            (b"", "truncated"),
            (b"\xff\xfe", "malformed"),
            (b"[" * 5_000, "no control record"),
            ([], "object"),
            ({**RULES, "kind": "model"}, "model"),
            ({**RULES, "more": 1}, "more"),
            ({**RULES, "control_id": ""}, "control_id"),
            ({**RULES, "control_id": "x" * 201}, "control_id"),
            ({**RULES, "rules": None}, "`rules`"),
            ({**RULES, "settings": {}}, "`settings`"),
            ({**RULES, "effective_ms": -1}, "effective_ms"),
            ({**RULES, "effective_ms": 1 << 60}, "effective_ms"),
            ({**SETTINGS, "effective_ms": 1}, "effective_ms"),
            ({**SETTINGS, "rules": "x"}, "`rules`"),
            ({**SETTINGS, "as_of_ms": 1}, "as_of_ms"),
            ({**RULES, "as_of_ms": 1}, "as_of_ms"),
            ({**PUBLISH, "as_of_ms": -1}, "as_of_ms"),
            ({**PUBLISH, "as_of_ms": 1 << 60}, "as_of_ms"),
            ({**PUBLISH, "hold_ms": -1}, "hold_ms"),
            ({**PUBLISH, "hold_ms": 3_600_001}, "hold_ms"),
            ({**SETTINGS, "hold_ms": 1}, "hold_ms"),
            ({**PUBLISH, "effective_ms": 1}, "nothing else"),
            ({**PUBLISH, "rules": "x"}, "nothing else"),
            ({**PUBLISH, "settings": {}}, "nothing else"),
            ({**RULES, "rules": "x" * 10_001}, "at most 10000"),
        ],
    )  # fmt: skip
    def test_what_does_not_fit_is_refused(self, record: Any, says: str) -> None:
        assert says in refusal(record)


class TestSettings:
    def test_live_ones_change_and_the_others_stay(self) -> None:
        changes = decode_control(
            b'{"control_id": "a", "kind": "settings", "settings": {"rates": {"EUR": 1.1}, "profile_interval_ms": 7}}',
            999,
        ).settings
        assert changes is not None
        changed = check_settings(Settings(session_gap_ms=9), changes)
        assert changed == Settings(session_gap_ms=9, rates={"EUR": Decimal("1.1")}, profile_interval_ms=7)

    def test_each_live_one_is_a_setting(self) -> None:
        assert set(LIVE_SETTINGS) <= set(Settings.__struct_fields__)

    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({"session_gap_ms": 5}, "session_gap_ms: cannot change while the job runs"),
            ({"allowed_lateness_ms": 5, "max_future_ms": 5}, "allowed_lateness_ms: cannot change"),
            ({"nonsense": 5}, "nonsense"),
            ({"max_record_bytes": 0}, "between 1 and"),
            ({"profile_interval_ms": "soon"}, "int"),
            ({"rates": {"EUR": -1}}, "positive"),
            ({"rates": {"euro": 1}}, "currency code"),
        ],
    )
    def test_others_are_refused_whole(self, changes: dict[str, Any], says: str) -> None:
        with pytest.raises(Rejected, match=says):
            check_settings(Settings(), changes)


def test_decimals_keep_their_digits() -> None:
    """As text: a number in binary would not."""
    record = Control("a", "settings", settings={"rates": {"EUR": Decimal("1.10000000000000000001")}})
    again = decode_control(encode_control(record), 999).settings
    assert again is not None
    assert check_settings(Settings(), again).rates == {"EUR": Decimal("1.10000000000000000001")}
