import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from similar_ledgers import ledgers

from state.similar.errors import SimilarStateError
from state.similar.ledger import newest, pack_bought, pack_viewed, unpack_bought, unpack_viewed
from state.similar.settings import BOUGHT_WITH, VIEWED_WITH

big_keys = st.integers(-(1 << 63), (1 << 64) - 1)


class TestNewest:
    def test_it_keeps_the_end_and_counts_the_rest(self):
        assert newest([1, 2, 3, 4, 5], 3) == ((3, 4, 5), 2)

    def test_a_short_ledger_stays_whole(self):
        assert newest((1, 2), 3) == ((1, 2), 0)


class TestPacking:
    @given(ledgers(VIEWED_WITH))
    def test_a_viewed_ledger_comes_back(self, ledger):
        assert unpack_viewed(pack_viewed(ledger)) == ledger

    @given(ledgers(BOUGHT_WITH, max_size=80))
    def test_a_bought_ledger_comes_back(self, ledger):
        assert unpack_bought(pack_bought(ledger)) == ledger

    @given(big_keys)
    def test_keys_may_be_any_64_bits(self, key):
        ledger = ((5, key, "a", True),)
        assert unpack_bought(pack_bought(ledger)) == ledger

    def test_fifty_views_of_a_few_sessions_take_about_13_bytes_each_and_their_ids(self):
        start_ms = 1_700_000_000_000
        ledger = [(start_ms + i * 45_000, start_ms + i // 10, f"{i:05}") for i in range(50)]
        assert len(pack_viewed(ledger)) < 50 * (13 + 5)

    @pytest.mark.parametrize("unpack", [unpack_viewed, unpack_bought])
    def test_a_newer_version_is_refused_with_a_reason(self, unpack):
        newer = msgpack.packb([2, [], [], [], [], b""] if unpack is unpack_bought else [2, [], [], [], []])
        with pytest.raises(SimilarStateError, match="version 2 found, this program reads version 1"):
            unpack(newer)
