"""`said_and_saved.py RUN...`: digests of all that runs of the customer logic say and save, for one run after the other.

A program of its own, so that the plain and the compiled modules can be asked for the same: it prints where the modules
come from, what reads all features, and for each run the number of outputs and of saved states, and a digest of both.
"""

import hashlib
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from random import Random

import msgspec
from customer_runs import NOW_MS, PATIENT, RULES, SIMILAR, in_order, key_and_time, run, run_live, shuffled
from item_stores import PendingStore, Shop
from nasty_streams import SPICES, nasty_stream
from ruled_runs import control, random_publications, run_ruled

import state.customer.fold
from jobs.simulation import SimulationSettings, simulate
from schemas.settings import DAY_MS, HOUR_MS, Settings
from state import local
from state.channels import Channel, Output
from state.customer.features import read_all
from state.customer.logic import CustomerLogic
from state.local import DictStore, LocalRun

HARD = SimulationSettings(
    events=2_500, customers=120, products=80, days=40, shuffle_ms=5 * DAY_MS, duplicates=0.1, malformed=0.02,
    refunds_first=True, hot_share=0.3,
)  # fmt: skip
HOT = SimulationSettings(events=3_000, customers=1, products=200, days=50, hot_share=0.95, shuffle_ms=HOUR_MS)


class Ledger:
    """Counts and digests what is said and what is saved, in order."""

    def __init__(self) -> None:
        self.digest = hashlib.blake2b(digest_size=12)
        self.outputs = self.saves = self.chunks = 0

    def say(self, outputs: list[Output]) -> None:
        for channel, key, payload in outputs:
            self.outputs += 1
            self.digest.update(f"said {int(channel)} {key} {len(payload)} ".encode() + bytes(payload))

    def save(self, packed: bytes) -> None:
        self.saves += 1
        self.digest.update(b"saved " + packed)

    def put_chunk(self, number: int, chunk: bytes) -> None:
        self.chunks += 1
        self.digest.update(b"chunk %d " % number + chunk)


ledger = Ledger()


class NotedStore(DictStore):
    """Keyed state that notes all that is put into it."""

    def save(self, packed: bytes) -> None:
        ledger.save(packed)
        super().save(packed)

    def put_chunk(self, number: int, chunk: bytes) -> None:
        ledger.put_chunk(number, chunk)
        super().put_chunk(number, chunk)


def nasty(seed: int) -> None:
    """Every stream that takes one thing too far: to its end, live, and with each customer packed at each event."""
    for spice in SPICES.values():
        lines = nasty_stream(Random(seed), 40, spice)
        as_of_ms = max(key_and_time(line)[1] for line in lines) + 12 * DAY_MS
        for arrived in (in_order(lines), lines, shuffled(lines, 3 * DAY_MS, seed)):
            for cached in (1, 20_000):
                ledger.say(run(arrived, as_of_ms, cached_customers=cached).outputs)
                ledger.say(run_live(arrived, as_of_ms, cached_customers=cached).outputs)


def ruled(seed: int) -> None:
    """The same streams under rules that change on the way, for now, for later and for before."""
    for number, spice in enumerate(SPICES.values()):
        random = Random(seed * 100 + number)
        lines = nasty_stream(random, 40, spice)
        until_ms = max(key_and_time(line)[1] for line in lines) + 12 * DAY_MS
        publications = random_publications(random, lines)
        for cached in (1, 20_000):
            ledger.say(run_ruled(lines, until_ms, publications, cached_customers=cached).finished.outputs)


def simulated(seed: int) -> None:
    """A shop whose events come late, twice, malformed and refunds first; live with other rules in the middle."""
    lines = list(simulate(msgspec.structs.replace(HARD, seed=seed)))
    as_of_ms = max(known[1] for known in map(key_and_time, lines) if known)
    for settings in (PATIENT, Settings()):
        ledger.say(run(lines, as_of_ms, settings=settings, cached_customers=1).outputs)
        ledger.say(run_live(lines, as_of_ms, settings=settings, cached_customers=1).outputs)
        publications = {len(lines) // 3: "default", len(lines) // 2: "other", 2 * len(lines) // 3: "test"}
        for watching in (False, True):
            logic = CustomerLogic(
                settings, RULES, SIMILAR, cached_customers=20, now_ms=lambda: NOW_MS, watching=watching
            )
            restarted(LocalRun(logic, 5_000), lines, publications, seed)


def restarted(live: LocalRun, lines: list[bytes], publications: dict[int, str], seed: int) -> None:
    """Other rules come, and now and then the job starts again: without a watermark, and with what was saved."""
    random = Random(seed)
    ledger.say(live.start())
    for number, line in enumerate(lines):
        if number in publications:
            ledger.say(live.control(control(str(number), publications[number])))
        before_ms = live.watermark_ms
        if random.random() < 0.01:
            live.watermark_ms = -1
        key, time_ms = key_and_time(line) or ("", None)
        ledger.say(live.feed(key, time_ms, b"file:1\x1f" + line))
        live.watermark_ms = max(live.watermark_ms, before_ms)


class NotedPendingStore(PendingStore):
    """State of an item that notes all that is put into it."""

    def save(self, packed: bytes) -> None:
        ledger.save(packed)
        super().save(packed)

    def append(self, message: bytes) -> None:
        ledger.save(message)
        super().append(message)


def items(seed: int) -> None:
    """What customers tell of items: sums, and lists in Redis and as records, live and at the end of a run."""
    lines = list(simulate(msgspec.structs.replace(HARD, seed=seed)))
    as_of_ms = max(known[1] for known in map(key_and_time, lines) if known)
    for live in (True, False):
        shop = Shop(live=live, as_of_ms=None if live else as_of_ms)
        shop.item_stores, shop.publish_stores = defaultdict(NotedPendingStore), defaultdict(NotedPendingStore)
        for channel, key, payload in (run_live if live else run)(lines, as_of_ms, settings=Settings()).outputs:
            if channel == Channel.ITEM:
                shop.tell(key, payload)
        shop.end()
        ledger.say([*shop.writes, *shop.records])


def hot(seed: int) -> None:
    """A customer with thousands of events, sealed in chunks, read again at each event."""
    lines = list(simulate(HOT))
    as_of_ms = max(known[1] for known in map(key_and_time, lines) if known)
    for cached in (1, 20_000):
        ledger.say(run(lines, as_of_ms, cached_customers=cached, settings=Settings()).outputs)
        ledger.say(run_live(shuffled(lines, DAY_MS, seed), as_of_ms, cached_customers=cached).outputs)


RUNS: dict[str, Callable[[int], None]] = {
    "nasty": nasty,
    "ruled": ruled,
    "simulated": simulated,
    "items": items,
    "hot": hot,
}


def digests(names: list[str]) -> Iterator[tuple[str, list[int | str]]]:
    """`names`: each a run and a seed, as `nasty:1`."""
    global ledger
    local.DictStore = NotedStore  # type: ignore[misc]
    for name in names:
        ledger = Ledger()
        run_name, _, seed = name.partition(":")
        RUNS[run_name](int(seed))
        yield name, [ledger.outputs, ledger.saves, ledger.chunks, ledger.digest.hexdigest()]


if __name__ == "__main__":
    origins = {"from": state.customer.fold.__file__, "reader": read_all.__module__}
    print(json.dumps({**origins, **dict(digests(sys.argv[1:]))}))
