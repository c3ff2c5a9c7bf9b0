"""Subject and time without the rest: the same as decoding says, wherever decoding says anything."""

import json
from typing import Any

import pytest

from schemas.decode import Decoder
from schemas.envelope import EnvelopeReader
from schemas.rejects import Rejected
from schemas.settings import Settings

T0 = 1_740_787_200_000
LATEST_MS = T0 + 1_000_000
GOOD: dict[str, Any] = {"event_id": "e", "type": "products_searched", "timestamp": T0, "customer_id": "c"}


def read(raw: bytes) -> tuple[str, int] | None:
    try:
        return EnvelopeReader(LATEST_MS).read(raw)
    except Rejected:
        return None


class TestAgreement:
    @pytest.mark.parametrize(
        "change",
        [
            {},
            {"timestamp": "2025-03-01T01:00:00.25+01:00"},
            {"customer_id": "", "anonymous_id": "a"},
            {"customer_id": None, "anonymous_id": "ä€"},
            {"customer_id": "x" * 512},
            {"context": {"device": "d"}, "received_at": T0 + 1, "session_id": "s"},
        ],
    )
    def test_what_is_decoded_is_read(self, change: dict[str, Any]) -> None:
        """Subject and time are those of the fact."""
        raw = json.dumps(GOOD | change, ensure_ascii=False).encode()
        subject, fact = Decoder(Settings(), lambda: T0).decode(raw)
        assert read(raw) == (subject, fact.time_ms)

    @pytest.mark.parametrize(
        "change",
        [
            {"customer_id": None},
            {"customer_id": 5},
            {"customer_id": "x" * 513},
            {"customer_id": "ä" * 257},
            {"timestamp": "yesterday"},
            {"timestamp": 1_740_787_200},
            {"timestamp": LATEST_MS + 1},
            {"timestamp": None},
            {"timestamp": 1.5},
        ],
    )
    def test_what_has_none_is_refused(self, change: dict[str, Any]) -> None:
        """As by decoding, for the same part of it."""
        raw = json.dumps(GOOD | change).encode()
        assert read(raw) is None
        with pytest.raises(Rejected):
            Decoder(Settings(max_future_ms=0), lambda: LATEST_MS).decode(raw)


class TestAnyBytes:
    @pytest.mark.parametrize(
        "raw",
        [b"", b"\x00", b"\xff\xfe", b"null", b"[]", b'"x"', b"{", b"[" * 100_000, b'{"a":' * 100_000,
         b'{"timestamp": ' + b"9" * 5_000 + b"}", json.dumps(GOOD | {"customer_id": "\ud800"}).encode()],
    )  # fmt: skip
    def test_nothing_else_is_raised(self, raw: bytes) -> None:
        """Than a rejection."""
        assert read(raw) is None

    def test_the_rest_does_not_matter(self) -> None:
        """An event that will be rejected still has its place in time."""
        assert read(json.dumps(GOOD | {"type": "no_such_type", "event_id": 1}).encode()) == ("c", T0)
