"""States written by version 1, kept as files: every later program must still read them.

A new version gets new files beside these. The files were written by `write` below, once; do not write them again.
"""

import json
from pathlib import Path

import pytest

from state.similar.ledger import unpack_bought, unpack_viewed
from state.similar.message import read_message
from state.similar.policy import PublishPolicy
from state.similar.publish import Publisher, unpack_total
from state.similar.row import ItemRow
from state.similar.score import unpack_candidates
from state.similar.settings import VIEWED_WITH, SimilarSettings

FIXTURES = Path(__file__).parent / "fixtures"


def _row(packed: bytes):
    row = ItemRow.unpack(packed)
    return [row.total, row.support, row.values, row.supports]


def _policy(packed: bytes):
    policy = PublishPolicy.unpack(packed)
    return [getattr(policy, name) for name in sorted(PublishPolicy.__slots__)]


def _candidates(packed: bytes):
    found = unpack_candidates(packed)
    return [found.total, found.partners, found.left_out]


def _published(packed: bytes):
    publisher = Publisher(SimilarSettings(viewed_shrink=2))
    publisher.on_total(VIEWED_WITH, "b", 64 * 5000, 656)
    return publisher.final(VIEWED_WITH, packed)[1]


READERS = {
    "viewed-ledger": unpack_viewed,
    "bought-ledger": unpack_bought,
    "message": read_message,
    "message-wide": read_message,
    "row": _row,
    "row-wide": _row,
    "policy": _policy,
    "policy-wide": _policy,
    "candidates": _candidates,
    "total": unpack_total,
    "published": _published,
}


def as_json(value) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def write(name: str, packed: bytes) -> None:
    """Store a state and what it means."""
    (FIXTURES / f"{name}.v1.bin").write_bytes(packed)
    (FIXTURES / f"{name}.v1.json").write_text(as_json(READERS[name](packed)), encoding="utf-8")


class TestVersion1:
    @pytest.mark.parametrize("name", READERS)
    def test_it_still_means_the_same(self, name):
        packed = (FIXTURES / f"{name}.v1.bin").read_bytes()
        meaning = json.loads((FIXTURES / f"{name}.v1.json").read_text(encoding="utf-8"))
        assert json.loads(as_json(READERS[name](packed))) == meaning

    def test_every_file_is_read(self):
        assert {path.name.split(".")[0] for path in FIXTURES.iterdir()} == set(READERS)
