"""The simulated shop: products in categories, with known companions and substitutes."""

from bisect import bisect
from collections.abc import Iterator
from itertools import accumulate
from random import Random

from jobs.simulation.draws import Draw

CATEGORIES = (
    "coffee machines", "coffee", "cups",
    "bicycles", "helmets", "bicycle lights",
    "cameras", "lenses", "memory cards",
    "tents", "sleeping bags", "camping stoves",
    "guitars", "strings", "amplifiers",
    "running shoes", "socks", "sports watches",
    "paints", "brushes", "canvases",
    "prams", "nappies", "baby clothes",
)  # fmt: skip
"""Three in a row make a department: their products go together."""
DEPARTMENT = 3
SUBSTITUTES = 4
"""Products of a category that are alternatives to each other come in groups of this many."""
_PRICES_CENTS = (199, 499, 799, 1_250, 1_999, 2_995, 4_950, 7_999, 12_900, 24_999, 89_900)


class Catalogue:
    """Products are numbers here; `ids` names them.

    Product i is number i // width of category i % width. Products of a department with the same number are
    companions (bought together); four neighbours in a category are substitutes (viewed together). The lower the
    number, the more popular: the share falls with 1 / (number + 3).
    """

    def __init__(self, count: int, currency: str, random: Random) -> None:
        self.count = count
        self.currency = currency
        self.width = min(len(CATEGORIES), count)
        names = list(range(1, count + 1))
        for last in range(count - 1, 0, -1):  # Fisher-Yates by hand: `shuffle` may differ between Python versions
            other = int(random.random() * (last + 1))
            names[last], names[other] = names[other], names[last]
        self.ids = [f"p{name:05d}" for name in names]
        self.price_cents = [self._price(index, random) for index in range(count)]
        self.fields = [self._fields(index, currency) for index in range(count)]
        self.depth = [len(range(category, count, self.width)) for category in range(self.width)]
        self._shares = [list(accumulate(1.0 / (n + 3) for n in range(depth))) for depth in self.depth]

    def category(self, product: int) -> str:
        return CATEGORIES[product % self.width]

    def companions(self, product: int) -> list[int]:
        """The products that are bought together with this one, without itself."""
        category, number = product % self.width, product // self.width
        first = category - category % DEPARTMENT
        together = range(first, min(first + DEPARTMENT, self.width))
        mates = (number * self.width + other for other in together if other != category)
        return [mate for mate in mates if mate < self.count]

    def substitutes(self, product: int) -> list[int]:
        """The products that are viewed together with this one as alternatives, without itself."""
        category, number = product % self.width, product // self.width
        first = number - number % SUBSTITUTES
        mates = ((first + step) * self.width + category for step in range(SUBSTITUTES))
        return [mate for mate in mates if mate < self.count and mate != product]

    def pick(self, draw: Draw, category: int, cheap: bool) -> int:
        """A product of a category by popularity; for the thrifty, the cheaper one of two."""
        shares = self._shares[category]
        product = bisect(shares, draw() * shares[-1]) % len(shares) * self.width + category
        if cheap:
            other = bisect(shares, draw() * shares[-1]) % len(shares) * self.width + category
            return min(product, other, key=self.price_cents.__getitem__)
        return product

    def amount(self, cents: int) -> str:
        """Minor units as a JSON number of major units."""
        return f"{cents // 100}.{cents % 100:02d}"

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.count))

    def _price(self, index: int, random: Random) -> int:
        base = _PRICES_CENTS[(index % self.width * 7 + 3) % len(_PRICES_CENTS)]
        return max(1, base * (60 + int(random.random() * 90)) // 100)

    def _fields(self, index: int, currency: str) -> str:
        """The JSON members of an event about this product; a tenth of the prices are strings, some lack a currency."""
        price = self.amount(self.price_cents[index])
        price = f'"{price}"' if index % 10 == 7 else price
        ending = "" if index % 10 == 3 and currency == "USD" else f',"currency":"{currency}"'
        return f',"product_id":"{self.ids[index]}","category":"{self.category(index)}","price":{price}{ending}'
