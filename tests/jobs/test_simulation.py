"""The simulated shop."""

import gzip
import hashlib
import json
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import zstandard

from jobs.simulation import Simulation, SimulationError, SimulationSettings, Truth, simulate, write_log
from jobs.simulation.kinds import KINDS
from schemas.decode import Decoder
from schemas.rejects import Rejected
from schemas.settings import DAY_MS, HOUR_MS, Settings

SMALL = SimulationSettings(events=6_000, customers=300, products=120, days=12, seed=3)
DISTURBED = SimulationSettings(
    events=6_000, customers=300, products=120, days=12, seed=3, shuffle_ms=2 * HOUR_MS, duplicates=0.05, malformed=0.02
)

REQUIRED = {
    "product_viewed": ("product_id",),
    "product_clicked": ("product_id",),
    "product_added": ("product_id",),
    "product_removed": ("product_id",),
    "wishlist_added": ("product_id",),
    "products_searched": ("query",),
    "checkout_started": ("products",),
    "order_completed": ("order_id", "products"),
    "order_refunded": ("order_id",),
    "order_cancelled": ("order_id",),
    "identify": ("traits",),
    "consent": ("purposes",),
    "erase": (),
    "recommendation_shown": ("product_id", "variant", "position", "request_id"),
    "recommendation_clicked": ("product_id", "variant", "position", "request_id"),
}
COMMON = {"event_id", "type", "timestamp", "customer_id", "anonymous_id", "session_id", "context"}
FURTHER = {
    "product_id",
    "category",
    "price",
    "quantity",
    "currency",
    "query",
    "products",
    "order_id",
    "total",
    "coupon",
}
FURTHER |= {"traits", "purposes", "variant", "position", "request_id"}


def time_ms(event: dict[str, Any]) -> int:
    stamp = event["timestamp"]
    if isinstance(stamp, int):
        return stamp
    return int((datetime.fromisoformat(stamp) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000 + 0.5)


def subject(event: dict[str, Any]) -> str:
    found = event.get("customer_id") or event["anonymous_id"]
    assert isinstance(found, str)
    return found


def run(settings: SimulationSettings) -> tuple[list[bytes], Truth]:
    simulation = Simulation(settings)
    return list(simulation.lines()), simulation.truth()


def is_valid(line: bytes) -> bool:
    """Whether a line is a well-formed event of the canonical format; written apart from the decoder."""
    try:
        event = json.loads(line.decode("utf-8"))
        line.decode("unicode_escape").encode("utf-8")
    except ValueError:
        return False
    if not isinstance(event, dict) or event.get("type") not in REQUIRED or len(line) > 1 << 20:
        return False
    ids = [event.get("event_id"), event.get("customer_id", event.get("anonymous_id")), event.get("product_id", "p")]
    return (
        all(isinstance(name, str) and 0 < len(name) <= 512 and name.isprintable() for name in ids)
        and all(name in event for name in REQUIRED[event["type"]])
        and isinstance(event.get("context", {}), dict)
        and has_valid_time(event)
        and all(entry.get("quantity", 1) >= 1 for entry in (event, *event.get("products", ())))
        and Decimal(str(event.get("price", 0))).is_finite()
        and 0 <= Decimal(str(event.get("price", 0))) < 10**13
        and event.get("currency", "USD") == "USD"
    )


def has_valid_time(event: dict[str, Any]) -> bool:
    stamp = event.get("timestamp")
    if isinstance(stamp, str) and not stamp.endswith("Z"):
        return False
    return stamp is not None and 631_152_000_000 < time_ms(event) < 4_000_000_000_000


@pytest.fixture(scope="module")
def clean() -> tuple[list[bytes], Truth]:
    return run(SMALL)


@pytest.fixture(scope="module")
def disturbed() -> tuple[list[bytes], Truth]:
    return run(DISTURBED)


class TestRepeatability:
    def test_equal_settings_give_equal_lines(self, disturbed: tuple[list[bytes], Truth]) -> None:
        """All chance comes from the seed."""
        assert run(DISTURBED) == disturbed

    def test_another_seed_gives_another_log(self, clean: tuple[list[bytes], Truth]) -> None:
        """Seeds are not ignored."""
        other = SimulationSettings(events=6_000, customers=300, products=120, days=12, seed=4)
        assert set(simulate(other)).isdisjoint(clean[0])

    def test_the_first_lines_are_pinned(self) -> None:
        """A change of the simulation that changes logs is noticed: published figures name a seed."""
        digest = hashlib.sha256(b"\n".join(simulate(SMALL))).hexdigest()
        assert digest[:16] == "5ae6774821c2a20a"


class TestEvents:
    def test_there_are_exactly_as_many_as_asked_for(self, clean: tuple[list[bytes], Truth]) -> None:
        """Also for awkward sizes: more customers than events, one customer, one product, one day."""
        assert len(clean[0]) == SMALL.events == len({json.loads(line)["event_id"] for line in clean[0]})
        for events, customers, products, days in ((7, 50, 3, 2), (900, 1, 1, 1), (2_000, 2, 5, 30)):
            tiny = SimulationSettings(events=events, customers=customers, products=products, days=days)
            assert sum(1 for _ in simulate(tiny)) == events

    def test_they_are_in_order_of_time(self, clean: tuple[list[bytes], Truth]) -> None:
        """Undisturbed, they arrive as they happen, within the days asked for."""
        times = [time_ms(json.loads(line)) for line in clean[0]]
        assert times == sorted(times)
        assert SMALL.start_ms <= times[0]
        assert times[-1] < SMALL.start_ms + SMALL.days * DAY_MS
        assert times[-1] > SMALL.start_ms + (SMALL.days - 1) * DAY_MS

    def test_every_line_is_canonical(self, clean: tuple[list[bytes], Truth]) -> None:
        """They have the required members and no unknown ones."""
        assert all(is_valid(line) for line in clean[0])
        assert set().union(*(json.loads(line) for line in clean[0])) <= COMMON | FURTHER

    def test_most_are_views(self) -> None:
        """The mix is a shop's: about 70 % views, one order to some 35 views; every type occurs."""
        lines, truth = run(SimulationSettings(events=60_000, customers=2_500))
        types = Counter(json.loads(line)["type"] for line in lines)
        assert dict(types) == truth.counts.types
        assert 0.64 <= types["product_viewed"] / len(lines) <= 0.76
        assert 0.01 <= types["order_completed"] / len(lines) <= 0.03
        assert set(types) == set(REQUIRED)

    def test_nights_are_quiet(self, clean: tuple[list[bytes], Truth]) -> None:
        """Fewer events between two and five than between nineteen and twenty-two o'clock."""
        hours = Counter(time_ms(json.loads(line)) // HOUR_MS % 24 for line in clean[0])
        assert sum(hours[hour] for hour in (2, 3, 4)) * 5 < sum(hours[hour] for hour in (19, 20, 21))


class TestTruth:
    def test_all_subjects_and_products_are_known(self, clean: tuple[list[bytes], Truth]) -> None:
        """Truth names exactly those who came, and every product."""
        events = [json.loads(line) for line in clean[0]]
        truth = clean[1]
        assert {subject(event) for event in events} <= set(truth.customers)
        assert len(truth.customers) <= SMALL.customers
        assert set(truth.customers.values()) <= {kind.name for kind in KINDS}
        assert len(truth.products) == SMALL.products
        for event in events:
            if "category" in event:
                assert truth.products[event["product_id"]].category == event["category"]

    def test_companions_and_substitutes_are_mutual(self, clean: tuple[list[bytes], Truth]) -> None:
        """Companions come from other categories, substitutes from the same."""
        products = clean[1].products
        for name, product in products.items():
            for mate in product.companions:
                assert name in products[mate].companions
                assert products[mate].category != product.category
            for mate in product.substitutes:
                assert name in products[mate].substitutes
                assert products[mate].category == product.category

    def test_companions_are_bought_together(self) -> None:
        """Of pairs in the same order, companions are much more frequent than chance would have it."""
        lines, truth = run(SimulationSettings(events=40_000, customers=1_500))
        pairs = hits = 0
        for line in lines:
            event = json.loads(line)
            if event["type"] == "order_completed":
                names = [entry["product_id"] for entry in event["products"]]
                pairs += len(names) * (len(names) - 1)
                hits += sum(mate in truth.products[name].companions for name in names for mate in names)
        assert hits > 0.03 * pairs  # by chance: 2 of 2,000

    def test_kinds_behave_as_they_are_called(self) -> None:
        """Loyal customers order more than browsers; window shoppers add, and hardly ever buy."""
        lines, truth = run(SimulationSettings(events=60_000, customers=2_500))
        counts: dict[str, Counter[str]] = {kind.name: Counter() for kind in KINDS}
        for line in lines:
            event = json.loads(line)
            counts[truth.customers[subject(event)]][event["type"]] += 1
        orders_per_view = {name: c["order_completed"] / c["product_viewed"] for name, c in counts.items()}
        assert orders_per_view["loyal"] > 5 * orders_per_view["browser"]
        assert counts["window-shopper"]["product_added"] > 50 * counts["window-shopper"]["order_completed"]
        assert max(orders_per_view, key=lambda name: orders_per_view[name]) in ("loyal", "one-off", "wholesale")

    def test_a_shift_changes_behaviour_after_it_only(self) -> None:
        """Until then, the log is the same as without; kinds change for customers whom truth names."""
        plain, _ = run(SMALL)
        shifted, truth = run(
            SimulationSettings(events=6_000, customers=300, products=120, days=12, seed=3, shift_at=0.5)
        )
        at_ms = SMALL.start_ms + SMALL.days * DAY_MS // 2
        before = sum(time_ms(json.loads(line)) < at_ms for line in plain)
        assert shifted[:before] == plain[:before]
        assert len(set(shifted[before:]) & set(plain[before:])) < 100  # ends of visits from before
        assert truth.customers_after_shift
        assert all(truth.customers[who] != kind for who, kind in truth.customers_after_shift.items())

    def test_one_customer_has_the_hot_share(self) -> None:
        """Within two percent points."""
        lines, _ = run(SimulationSettings(events=20_000, customers=500, days=5, hot_share=0.3))
        ((_, count),) = Counter(subject(json.loads(line)) for line in lines).most_common(1)
        assert 0.28 <= count / len(lines) <= 0.32


class TestDisturbances:
    def test_duplicates_are_counted_and_exact(self, disturbed: tuple[list[bytes], Truth]) -> None:
        """Lines that occur twice are as many as truth says, about as many as asked for, and come later."""
        lines, truth = disturbed
        valid = Counter(line for line in lines if is_valid(line))
        assert len(valid) == truth.counts.events == DISTURBED.events
        assert valid.total() - len(valid) == truth.counts.duplicates
        assert 0.03 <= truth.counts.duplicates / DISTURBED.events <= 0.07

    def test_the_decoder_agrees(self, disturbed: tuple[list[bytes], Truth]) -> None:
        """It accepts the events, and rejects each malformed line for the reason that truth counts it under."""
        decoder = Decoder(Settings())
        reasons: Counter[str] = Counter()
        for line in disturbed[0]:
            try:
                decoder.decode(line)
            except Rejected as rejected:
                reasons[rejected.reason.value] += 1
        assert dict(reasons) == disturbed[1].counts.malformed

    def test_malformed_lines_are_counted_by_reason(self, disturbed: tuple[list[bytes], Truth]) -> None:
        """Every reason occurs, and lines = events + duplicates + malformed."""
        lines, truth = disturbed
        counts = truth.counts
        bad = sum(counts.malformed.values())
        assert sum(not is_valid(line) for line in lines) == bad
        assert 0.01 <= bad / DISTURBED.events <= 0.03
        assert counts.lines == len(lines) == counts.events + counts.duplicates + bad
        assert len(counts.malformed) == 18
        assert not any(b"\n" in line or not line.strip() for line in lines)

    def test_the_events_are_those_of_the_undisturbed_log(
        self, clean: tuple[list[bytes], Truth], disturbed: tuple[list[bytes], Truth]
    ) -> None:
        """Delays, repeats and garbage leave the set of events as it is."""
        assert {line for line in disturbed[0] if is_valid(line)} == set(clean[0])

    def test_nothing_is_later_than_the_lateness(self) -> None:
        """Also with all disturbances at their greatest; and events do arrive late."""
        hard = SimulationSettings(
            events=6_000, customers=300, days=30, shuffle_ms=6 * DAY_MS - 1, duplicates=0.3, refunds_first=True
        )
        newest_ms = worst_ms = 0
        for line in simulate(hard):
            at_ms = time_ms(json.loads(line))
            newest_ms = max(newest_ms, at_ms)
            worst_ms = max(worst_ms, newest_ms - at_ms)
        assert 5 * DAY_MS < worst_ms < 7 * DAY_MS

    def test_delays_stay_within_what_was_asked_for(self) -> None:
        """With shuffling alone, no event comes after one that is younger by more than that."""
        newest_ms = worst_ms = 0
        for line in simulate(SimulationSettings(events=3_000, customers=100, days=5, shuffle_ms=60_000)):
            at_ms = time_ms(json.loads(line))
            newest_ms = max(newest_ms, at_ms)
            worst_ms = max(worst_ms, newest_ms - at_ms)
        assert 30_000 < worst_ms <= 60_000

    def test_refunds_come_first(self) -> None:
        """Some refunds arrive before their order, and some bear an earlier timestamp than it."""
        events = [
            json.loads(line)
            for line in simulate(SimulationSettings(events=40_000, customers=1_500, refunds_first=True))
        ]
        orders = {e["order_id"]: (n, time_ms(e)) for n, e in enumerate(events) if e["type"] == "order_completed"}
        arrived_first = stamped_first = unknown = 0
        for place, event in enumerate(events):
            if event["type"] == "order_refunded":
                order = orders.get(event["order_id"])
                unknown += order is None
                arrived_first += order is not None and place < order[0]
                stamped_first += order is not None and time_ms(event) < order[1]
        assert arrived_first
        assert stamped_first
        assert unknown


class TestFiles:
    @pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".jsonl.zst"])
    def test_a_written_log_holds_the_lines(self, ending: str, tmp_path: Path, clean: tuple[list[bytes], Truth]) -> None:
        """Plain and compressed, twice the same bytes, with truth beside it and nothing else."""
        path = tmp_path / f"events{ending}"
        told: list[int] = []
        assert write_log(SMALL, path, told.append) == clean[1]
        data = path.read_bytes()
        write_log(SMALL, path)
        assert path.read_bytes() == data
        if ending.endswith("gz"):
            data = gzip.decompress(data)
        elif ending.endswith("zst"):
            data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
        assert data.splitlines() == clean[0]
        assert told == sorted(told)
        assert told[-1] == len(clean[0])
        assert json.loads((tmp_path / "truth.json").read_text())["counts"]["lines"] == len(clean[0])
        assert len(list(tmp_path.iterdir())) == 2

    def test_a_path_that_cannot_be_written_is_named(self, tmp_path: Path) -> None:
        """The message says which."""
        (tmp_path / "file").touch()
        with pytest.raises(SimulationError, match=r"file/events\.jsonl"):
            write_log(SMALL, tmp_path / "file" / "events.jsonl")

    @pytest.mark.parametrize(
        "wrong",
        [
            {"events": 0},
            {"customers": 0},
            {"days": -1},
            {"duplicates": 1.5},
            {"hot_share": 1.0},
            {"shift_at": 1.0},
            {"shuffle_ms": 7 * DAY_MS},
            {"currency": "usd"},
            {"start_ms": -1},
        ],
    )
    def test_settings_out_of_range_are_refused(self, wrong: dict[str, Any]) -> None:
        """Before anything is made."""
        with pytest.raises(SimulationError, match=next(iter(wrong)).split("_")[0]):
            Simulation(SimulationSettings(**wrong))
