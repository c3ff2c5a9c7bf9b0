"""Lists of similar items as they are kept: packed, with their shares beside."""

import msgspec
import pytest

from schemas.profiles import pack_tombstone, pack_versioned
from serving.packed_neighbours import PackedNeighbours
from serving.ranking.source import shares_of

LISTED = [("b", 0.9, 4), ("a", 0.9, 4), ("c", 0.1, 1), ("d", 0.0, 7)]


def packed(neighbours: object) -> bytes:
    """As the job writes it."""
    return pack_versioned(1, 5, {"neighbours": neighbours})


class TestPackedNeighbours:
    def test_it_is_the_list_and_its_shares(self) -> None:
        """Equal ones by their ids; what has no strength has no part."""
        found = PackedNeighbours(packed(LISTED))
        assert (list(found), len(found), list(found[1:3])) == (LISTED, 4, LISTED[1:3])
        assert list(found.shares) == ["a", "b", "c", "d"]
        assert sum(found.shares.values()) == pytest.approx(1.0)
        assert (found.shares["a"], found.shares["d"]) == (found.shares["b"], 0.0)
        assert found.shares == shares_of(LISTED) == shares_of(found)

    @pytest.mark.parametrize(
        "value",
        [None, b"", b"\xc1", pack_tombstone(1, 5), packed("text"), packed([["a", -1.0, 2]]), packed([["a", 1.0]]),
         b"\x91" * 100_000, msgspec.msgpack.encode({"neighbours": LISTED}), packed([[b"\xff", 1.0, 2]])],
    )  # fmt: skip
    def test_what_is_no_list_is_empty(self, value: bytes | None) -> None:
        """However it is broken."""
        found = PackedNeighbours(value)
        assert (list(found), found.shares) == ([], {})
