"""What lies in the cart: added and neither bought nor removed."""

from typing import Any

CART_MAX = 50  # distinct products, the most recently added ones


class Cart:
    """Units per product, in order of their last addition."""

    __slots__ = ("units",)

    def __init__(self) -> None:
        self.units: dict[str, int] = {}

    def add(self, product: str, quantity: int) -> None:
        self.units[product] = self.units.pop(product, 0) + quantity
        if len(self.units) > CART_MAX:
            del self.units[next(iter(self.units))]

    def remove(self, product: str, quantity: int | None) -> None:
        """Take units out; without a quantity, all of them."""
        left = self.units.get(product, 0)
        if quantity is None or left <= quantity:
            self.units.pop(product, None)
        else:
            self.units[product] = left - quantity

    def buy(self, products: list[str]) -> None:
        """An order takes its products out, all units; one that names none empties the cart."""
        if not products:
            self.units.clear()
        elif self.units:
            for product in products:
                self.units.pop(product, None)

    def packed(self) -> list[Any]:
        return [part for item in self.units.items() for part in item]

    @classmethod
    def unpacked(cls, packed: list[Any]) -> "Cart":
        cart = cls()
        cart.units = dict(zip(packed[::2], packed[1::2], strict=True))
        return cart
