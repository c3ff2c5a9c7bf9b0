"""The clock of the simulated shop: who visits in which hour, until there are as many events as were asked for."""

from bisect import bisect
from collections.abc import Iterator
from itertools import accumulate
from random import Random

from jobs.simulation.catalogue import Catalogue
from jobs.simulation.customers import Customer, make_customers
from jobs.simulation.emitter import Emitter, Entry
from jobs.simulation.kinds import KINDS
from jobs.simulation.orders import Orders
from jobs.simulation.settings import SimulationSettings
from jobs.simulation.visit import Visits
from schemas.settings import HOUR_MS

HOURS = (9, 6, 4, 3, 3, 5, 10, 18, 28, 36, 42, 45, 48, 46, 43, 42, 44, 50, 58, 68, 75, 70, 48, 24)
"""How busy each hour of the day (UTC) is: quiet nights, a peak at eight in the evening."""
WEEKDAYS = (100, 96, 95, 97, 104, 118, 124)
"""How busy each day of the week is, from Monday."""
MEAN_PAUSE_MS = 85_000
_MONDAY = 4  # 1970-01-05 was one


class Shop:
    """Yields the events of all visits by arrival; the hour's quota decides how many customers visit in it.

    Bound: the events of the present hour, and what is already known to come (ends of visits, refunds).
    """

    def __init__(self, settings: SimulationSettings, random: Random) -> None:
        self._settings = settings
        self._draw = random.random
        self.catalogue = Catalogue(settings.products, settings.currency, random)
        self.customers = make_customers(settings, self.catalogue, random)
        self._emitter = Emitter(settings.seed)
        orders = Orders(self.catalogue, self._emitter, random, settings.refunds_first)
        self._visits = Visits(self.catalogue, self._emitter, orders, random)
        self._busy_until_ms: dict[str, int] = {}
        self._hot_events = 0.0
        self._barren = 0

    def visitors(self) -> list[Customer]:
        """The customers who have visited so far."""
        return [who for who in self.customers if who.subject in self._visits.seen]

    def __iter__(self) -> Iterator[Entry]:
        settings = self._settings
        first_hour = settings.start_ms // HOUR_MS
        quotas = self._quotas(first_hour)
        emitted = 0
        about: list[Customer] = []
        cumulative: list[float] = []
        for step, quota in enumerate(quotas):
            if step % 24 == 0:
                about, cumulative = self._about(step // 24)
            hour = first_hour + step
            self._fill(hour, step, quota - emitted, about, cumulative)
            for entry in self._emitter.take(hour):
                if emitted == settings.events:
                    return
                emitted += 1
                yield entry

    def _quotas(self, first_hour: int) -> list[int]:
        """For every hour, how many events there are to be until its end."""
        hours = range(first_hour, first_hour + self._settings.days * 24)
        busy = list(accumulate(HOURS[hour % 24] * WEEKDAYS[(hour // 24 - _MONDAY) % 7] for hour in hours))
        return [self._settings.events * upto // busy[-1] for upto in busy]

    def _about(self, day: int) -> tuple[list[Customer], list[float]]:
        """The customers who are active on a day, with their cumulative weights."""
        about = [who for who in self.customers if who.first_day <= day <= who.last_day] or self.customers
        return about, list(accumulate(who.weight for who in about))

    def _fill(self, hour: int, step: int, wanted: int, about: list[Customer], cumulative: list[float]) -> None:
        """Let customers visit until the hour has the wanted number of events."""
        settings, emitter = self._settings, self._emitter
        shifted = settings.shift_at is not None and step >= settings.shift_at * settings.days * 24
        fashion = self.catalogue.width // 2 if shifted else 0
        if settings.hot_share:
            self._crowd(hour, max(0, wanted), fashion)
        while emitter.waiting(hour) < wanted:
            before = emitter.next_number()
            who, start_ms = self._visitor(hour, about, cumulative)
            kind = KINDS[who.later_kind if shifted else who.kind]
            self._busy_until_ms[who.subject] = self._visits.play(who, start_ms, kind, fashion)
            self._barren = self._barren + 1 if emitter.next_number() == before else 0
            if self._barren > 1_000:
                self._visits.welcome_back()

    def _visitor(self, hour: int, about: list[Customer], cumulative: list[float]) -> tuple[Customer, int]:
        """Somebody who is not in the shop already, if one is found quickly, and when in the hour the visit begins."""
        draw = self._draw
        for _ in range(4):
            who = about[bisect(cumulative, draw() * cumulative[-1]) % len(about)]
            start_ms = max(hour * HOUR_MS + int(draw() * HOUR_MS), self._settings.start_ms)
            if start_ms > self._busy_until_ms.get(who.subject, 0):
                break
        return who, start_ms

    def _crowd(self, hour: int, wanted: int, fashion: int) -> None:
        """The one customer with a fixed share of all events: a reseller's program, say; busy all of the hour."""
        who = self.customers[0]
        self._hot_events += self._settings.hot_share * wanted
        pace = HOUR_MS / max(1.0, self._hot_events) / MEAN_PAUSE_MS
        start_ms = max(hour * HOUR_MS, self._settings.start_ms)
        while self._hot_events >= 1:
            before = self._emitter.next_number()
            start_ms = 1 + self._visits.play(who, start_ms, KINDS[0], fashion, pace)
            made = self._emitter.next_number() - before
            self._hot_events -= made
            if not made:  # left for good: the one who has this share cannot
                self._visits.welcome_back()
