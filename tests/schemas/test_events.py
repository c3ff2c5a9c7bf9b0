"""The typed events."""

from typing import Any

import msgspec
import pytest
from event_documents import DETAILS, NOW_MS, documents, line
from hypothesis import given

from schemas.decode import Decoder
from schemas.events import AnyEvent, encode_event
from schemas.settings import Settings


class TestEncode:
    """Events are written as they are read."""

    @pytest.mark.parametrize("event_type", sorted(DETAILS))
    def test_round_trip(self, event_type: str) -> None:
        """What is decoded and encoded again is the same event."""
        event = msgspec.json.decode(line(event_type), type=AnyEvent)
        again = encode_event(event)
        assert msgspec.json.decode(again, type=AnyEvent) == event
        assert msgspec.json.decode(again)["type"] == event_type

    @given(documents())
    def test_same_fact(self, document: dict[str, Any]) -> None:
        """Writing an event again changes nothing of what is read from it."""
        raw = msgspec.json.encode(document)
        decoder = Decoder(Settings(), now_ms=lambda: NOW_MS)
        assert decoder.decode(encode_event(msgspec.json.decode(raw, type=AnyEvent))) == decoder.decode(raw)
