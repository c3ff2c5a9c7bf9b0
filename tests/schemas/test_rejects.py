"""Rejected records as the outside world sees them."""

import base64
import json

from hypothesis import given
from hypothesis import strategies as st

from schemas.rejects import DETAIL_MAX_CHARS, Reason, Rejected, rejected_record


class TestRejectedRecord:
    """One JSON line for each."""

    def test_text(self) -> None:
        """A record in UTF-8 is shown as text."""
        rejected = Rejected(Reason.WRONG_TYPE, "$.total: no")
        assert rejected_record(rejected.reason, rejected.detail, "a.jsonl:7", '{"é":1}'.encode()) == (
            '{"reason":"wrong_type","detail":"$.total: no","place":"a.jsonl:7","raw":"{\\"é\\":1}"}'.encode()
        )

    def test_no_text(self) -> None:
        """Other bytes are kept in base 64."""
        document = json.loads(rejected_record("invalid_utf8", "", "a:1", b"\xff\x00"))
        assert document["raw_base64"] == "/wA="
        assert "raw" not in document

    @given(st.binary(max_size=60), st.text(st.characters(), max_size=60), st.text(st.characters(), max_size=20))
    def test_restores_the_bytes(self, raw: bytes, detail: str, place: str) -> None:
        """It is always a single line of JSON, and the record can be had back from it to the byte."""
        rejected = Rejected(Reason.WRONG_TYPE, detail)
        record = rejected_record(rejected.reason, rejected.detail, place, raw)
        assert b"\n" not in record
        document = json.loads(record)
        restored = document["raw"].encode() if "raw" in document else base64.b64decode(document["raw_base64"])
        assert restored == raw


class TestRejected:
    """The outcome itself."""

    def test_detail_is_bounded(self) -> None:
        """A detail that quotes a whole record is cut."""
        assert len(Rejected(Reason.WRONG_TYPE, "x" * 10**6).detail) == DETAIL_MAX_CHARS + 1

    def test_text(self) -> None:
        """It prints as reason and detail."""
        assert str(Rejected(Reason.WRONG_TYPE, "no\nway")) == r"wrong_type: no\nway"

    def test_names(self) -> None:
        """The names are what others have built upon; none may change."""
        assert {reason.value for reason in Reason} >= {
            *("malformed_json", "invalid_utf8", "invalid_unicode", "not_an_object", "missing_field", "wrong_type"),
            *("unknown_type", "no_subject", "empty_event_id", "invalid_id", "id_too_long", "invalid_timestamp"),
            *("timestamp_too_old", "timestamp_in_future", "invalid_quantity", "invalid_amount", "currency_unknown"),
            *("record_too_large", "not_a_shop_event", "unreadable_row", "null_value"),
            *("key_mismatch", "too_late"),
        }
