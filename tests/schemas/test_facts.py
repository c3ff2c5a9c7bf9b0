"""Facts as they are stored."""

import msgspec

from schemas.facts import Fact, Kind


class TestStored:
    """What has been packed once must stay readable."""

    def test_kinds(self) -> None:
        """The numbers of the kinds never change."""
        assert {kind.name: int(kind) for kind in Kind} == {
            "PRODUCT_VIEWED": 1,
            "PRODUCT_CLICKED": 2,
            "PRODUCT_ADDED": 3,
            "PRODUCT_REMOVED": 4,
            "WISHLIST_ADDED": 5,
            "PRODUCTS_SEARCHED": 6,
            "CHECKOUT_STARTED": 7,
            "ORDER_COMPLETED": 8,
            "ORDER_REFUNDED": 9,
            "ORDER_CANCELLED": 10,
            "IDENTIFY": 11,
            "CONSENT": 12,
            "ERASE": 13,
            "RECOMMENDATION_SHOWN": 14,
            "RECOMMENDATION_CLICKED": 15,
        }

    def test_bytes(self) -> None:
        """Facts of the first version are read field by field; those of today have the variant behind."""
        fields = [1, "e", 8, None, None, "s", "d", "l", "c", None, "o", [["p", 2, 350, None]], 700, None]
        fact = Fact(1, "e", 8, None, None, "s", "d", "l", "c", None, "o", (("p", 2, 350, None),), 700, None)
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(fields), type=Fact) == fact
        assert msgspec.msgpack.encode(fact) == msgspec.msgpack.encode([*fields, None])

    def test_bytes_with_a_variant(self) -> None:
        fields = [1, "e", 14, "p", None, "s", "d", "l", "c", None, None, [], None, None, "blend=seed@2/50:50"]
        fact = Fact(1, "e", 14, "p", None, "s", "d", "l", "c", variant="blend=seed@2/50:50")
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(fields), type=Fact) == fact
        assert msgspec.msgpack.encode(fact) == msgspec.msgpack.encode(fields)

    def test_short(self) -> None:
        """Trailing fields that are absent may be left out."""
        assert msgspec.msgpack.decode(msgspec.msgpack.encode([1, "e", 13]), type=Fact) == Fact(1, "e", 13)
