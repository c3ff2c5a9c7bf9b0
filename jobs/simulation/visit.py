"""One visit of one customer to the simulated shop: what is looked at, put into the cart, bought."""

from random import Random

from jobs.simulation.catalogue import Catalogue
from jobs.simulation.customers import DEVICES, Customer
from jobs.simulation.draws import THINK_MS
from jobs.simulation.emitter import Emitter
from jobs.simulation.kinds import Kind
from jobs.simulation.orders import Orders

CHANNELS = ("direct", "search", "email", "social", "ads", "referral")
QUERIES = ("best", "cheap", "new", "crème", "für Kinder", "gift 🎁", "used", "black", "size 42")
CLICK, RECOMMENDED, REMOVE, SAME_MS, LONG_PAUSE = 0.05, 0.05, 0.06, 0.004, 0.004
WITHDRAW, GRANT, ERASE, RETURN = 0.0015, 0.3, 0.0008, 0.25
"""Per visit: consent withdrawn, given again (while withdrawn), data erased; and who comes back after that."""


class Visits:
    """Plays visits; remembers carts, consents and who left for good."""

    def __init__(self, catalogue: Catalogue, emitter: Emitter, orders: Orders, random: Random) -> None:
        self._catalogue = catalogue
        self._emitter = emitter
        self._orders = orders
        self._draw = random.random
        self._carts: dict[str, dict[int, int]] = {}
        self.seen: set[str] = set()
        """Who has visited so far."""
        self._denied: set[str] = set()
        self._gone: set[str] = set()

    def play(self, who: Customer, start_ms: int, kind: Kind, fashion: int, pace: float = 1.0) -> int:
        """Emit all events of a visit.

        Args:
            fashion: turns the customer's favourite categories by as many places.
            pace: factor on the time between events; at 1, a visit lasts some minutes.

        Returns:
            The time of the last event, in milliseconds.
        """
        if who.subject in self._gone:
            return start_ms
        return _Visit(self, who, start_ms, kind, fashion, pace).play()

    def welcome_back(self) -> None:
        """Let those who left for good return: for a shop so small that nobody else is left."""
        self._gone.clear()


class _Visit:
    """The state of one visit while it is played."""

    def __init__(self, visits: Visits, who: Customer, start_ms: int, kind: Kind, fashion: int, pace: float) -> None:
        self._all = visits
        self._draw = visits._draw
        self._emitter = visits._emitter
        self._catalogue = visits._catalogue
        self._fields = visits._catalogue.fields
        self._who = who
        self._kind = kind
        self._fashion = fashion
        self._pace = pace
        self._time_ms = start_ms
        self._first = True
        self._text_time = self._draw() < 0.2
        self._cart = visits._carts.get(who.subject) or {}
        self._tail = self._make_tail(start_ms)

    def play(self) -> int:
        self._open()
        self._browse()
        self._close()
        if self._cart:
            self._all._carts[self._who.subject] = self._cart
        else:
            self._all._carts.pop(self._who.subject, None)
        return self._time_ms

    def _make_tail(self, start_ms: int) -> str:
        """What all events of the visit end with."""
        draw, who = self._draw, self._who
        session = ""
        if who.has_session_ids:
            session = f',"session_id":"s{self._emitter.next_number():x}-{start_ms:x}"'
        device = DEVICES[int(draw() * len(DEVICES))] if draw() < 0.15 else who.device
        channel = CHANNELS[int(draw() * len(CHANNELS))]
        context = (
            f',"context":{{"device":"{device}","location":"{who.location}","channel":"{channel}"}}',
            f',"context":{{"device":"{device}"}}',
            f',"context":{{"location":"{who.location}","channel":"{channel}"}}',
            "",
        )[max(0, int(draw() * 40) - 36)]
        return f"{who.identity}{session}{context}}}"

    def _emit(self, kind: str, members: str) -> None:
        """Add an event at the present moment; before all but the first, time passes."""
        if self._first:
            self._first = False
        else:
            self._think()
        self._emitter.emit(self._time_ms, kind, members, self._tail, self._text_time)

    def _think(self) -> None:
        draw = self._draw
        place = draw() * 10.0
        low = int(place)
        pause = THINK_MS[low] + (place - low) * (THINK_MS[low + 1] - THINK_MS[low])
        rare = draw()
        if rare < SAME_MS:
            return
        if rare > 1 - LONG_PAUSE and self._who.has_session_ids:
            pause += 2_400_000  # over half an hour, and still the same session by its id
        self._time_ms += 1 + int(pause * self._pace)

    def _open(self) -> None:
        draw, who, everyone = self._draw, self._who, self._all
        if who.subject not in everyone.seen:
            everyone.seen.add(who.subject)
            if who.subject[0] == "c" and draw() < 0.5:
                self._emit("identify", f',"traits":{{"plan":"{"basic" if draw() < 0.8 else "plus"}"}}')
        if who.subject in everyone._denied:
            if draw() < GRANT:
                everyone._denied.remove(who.subject)
                self._emit("consent", ',"purposes":{"personalization":true,"ads":false}')
        elif draw() < WITHDRAW:
            everyone._denied.add(who.subject)
            self._emit("consent", ',"purposes":{"personalization":false}')
        elif draw() < 0.01:
            self._emit(
                "consent", ',"purposes":{"ads":true}' if draw() < 0.5 else ',"purposes":{"personalization":true}'
            )

    def _close(self) -> None:
        draw = self._draw
        if self._cart and draw() < self._kind.checkout:
            self._emit("checkout_started", self._all._orders.products(self._cart))
            if draw() < self._kind.pay:
                self._buy()
        if draw() < ERASE:
            self._emit("erase", "")
            self._cart = {}
            if draw() >= RETURN:
                self._all._gone.add(self._who.subject)

    def _buy(self) -> None:
        self._think()
        orders = self._all._orders
        orders.place(self._time_ms, self._who.identity, self._cart, self._kind, self._tail, self._text_time)
        self._cart = {}

    def _category(self) -> int:
        wanted = self._who.categories
        category = wanted[int(self._draw() * 3)] if self._draw() < 0.8 else int(self._draw() * self._catalogue.width)
        return (category + self._fashion) % self._catalogue.width

    def _browse(self) -> None:
        draw, kind, catalogue = self._draw, self._kind, self._catalogue
        category = self._category()
        place = draw() * 10.0
        low = int(place)
        views = int(kind.views[low] + (place - low) * (kind.views[low + 1] - kind.views[low]) + 0.5)
        product = catalogue.pick(draw, category, kind.cheap)
        if draw() < kind.search:
            self._search(category)
        companion = False
        for _ in range(views):
            self._emit("product_viewed", self._fields[product])
            # whoever just added something has come for what goes with it
            bought = draw() < (kind.add + 0.4 if companion else kind.add)
            if bought:
                self._add(product)
            else:
                self._look_closer(product)
            following = self._next(product, bought)
            companion = bought and following in catalogue.companions(product)
            product = following
            if product < 0:
                category = self._category()
                product = catalogue.pick(draw, category, kind.cheap)
                if draw() < kind.search * 0.3:
                    self._search(category)

    def _next(self, product: int, bought: bool) -> int:
        """Where the eye goes next: after a purchase to companions, else to substitutes; -1: elsewhere."""
        draw, mark = self._draw, self._draw()
        mates = self._catalogue.companions(product) if bought else self._catalogue.substitutes(product)
        if mark < (0.6 if bought else 0.5) and mates:
            return mates[int(draw() * len(mates))]
        if mark < 0.8:
            return self._catalogue.pick(draw, product % self._catalogue.width, self._kind.cheap)
        return -1

    def _search(self, category: int) -> None:
        word = QUERIES[int(self._draw() * len(QUERIES))]
        self._emit("products_searched", f',"query":"{word} {self._catalogue.category(category)}"')

    def _add(self, product: int) -> None:
        draw, units = self._draw, self._kind.units
        quantity = units[int(draw() * len(units))]
        explicit = f',"quantity":{quantity}' if quantity > 1 or draw() < 0.5 else ""
        self._emit("product_added", self._fields[product] + explicit)
        self._cart[product] = self._cart.get(product, 0) + quantity
        if draw() < REMOVE:
            self._remove(product)

    def _remove(self, product: int) -> None:
        """Half of the time one unit, else the product wholly (without a quantity)."""
        if self._draw() < 0.5:
            self._emit("product_removed", self._fields[product] + ',"quantity":1')
            self._cart[product] -= 1
            if self._cart[product] > 0:
                return
        else:
            self._emit("product_removed", self._fields[product])
        del self._cart[product]

    def _look_closer(self, product: int) -> None:
        mark = self._draw()
        if mark < CLICK:
            self._emit("product_clicked", self._fields[product])
        elif mark < CLICK + RECOMMENDED:
            self._recommend(product)
        elif mark < CLICK + RECOMMENDED + self._kind.wishlist:
            self._emit("wishlist_added", self._fields[product])

    def _recommend(self, product: int) -> None:
        mates = self._catalogue.companions(product)
        if not mates:
            return
        draw = self._draw
        mate = self._catalogue.ids[mates[int(draw() * len(mates))]]
        request = self._emitter.next_number()
        members = f',"product_id":"{mate}","variant":"{"a" if draw() < 0.5 else "b"}","position":{int(draw() * 6)}'
        self._emit("recommendation_shown", f'{members},"request_id":"r{request:x}"')
        if draw() < 0.25:
            self._emit("recommendation_clicked", f'{members},"request_id":"r{request:x}"')
