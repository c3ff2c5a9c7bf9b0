"""Customers packed by versions 1 to 3, kept as files: every later program must still read them.

A file holds the packed value and the sealed chunks of one customer; the JSON beside it says what that means: features,
memberships, ledgers, outcomes, and the same once some more events have come, late ones among them, for which snapshots
and facts are needed. The rules, the settings and the later events below belong to the files: never change them.

A new version gets new files beside these, with the readers of the old ones left as they are. To make them, in a
Python prompt that has the project and tests/state/customer on its path: `import conftest, test_customer_fixtures as t`,
then `t.write(name)` for each name of `t.HISTORIES`. The files of a version are written once; to write them again would
only prove that the program agrees with itself.
"""

import json
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from customer_runs import features_of, in_order, key_and_time, run, run_live
from nasty_streams import SPICES, START_MS, nasty_stream

from schemas.decode import Decoder
from schemas.settings import DAY_MS, HOUR_MS, Settings
from state.customer.calendar import Calendar
from state.customer.customer import Customer
from state.customer.publication import bought_ledger, viewed_ledger
from state.dict_chunks import DictChunkStore
from state.rules.ruleset import parse_rules

FIXTURES = Path(__file__).parent / "fixtures"
SETTINGS = Settings(
    currency="USD",
    allowed_lateness_ms=7 * DAY_MS,
    session_gap_ms=30 * 60_000,
    session_id_idle_ms=DAY_MS,
    order_memory_ms=730 * DAY_MS,
)
RULES = parse_rules("""
[segments.viewers]
description = "For tests."
when = "views_7d >= 3"
[segments.buyers]
description = "For tests."
when = "orders_30d >= 2 and revenue_30d_cents > 1000"
[segments.warm]
description = "For tests."
enter = "engagement >= 6"
leave = "engagement < 2.5"
minimum_stay = "3d"
[segments.quiet]
description = "For tests."
when = "since_last_seen_ms > days(3)"
[segments.lookers]
description = "For tests."
when = 'segment("viewers") and not segment("buyers")'
""")
CALENDAR = Calendar.of(SETTINGS, RULES)
LAST_MS = START_MS + 40 * DAY_MS
decode = Decoder(SETTINGS, lambda: 2_000_000_000_000).decode


def line(number: int, at_ms: int, kind: str, **details: Any) -> bytes:
    event = {"event_id": f"event-{number:05}", "type": kind, "timestamp": at_ms, "customer_id": "c0"}
    return json.dumps(event | details).encode()


def busy(count: int) -> list[bytes]:
    """Views and orders up to the last moment, one every twenty minutes."""
    return [visit(number, LAST_MS - (count - number) * 20 * 60_000) for number in range(count)]


def visit(number: int, at_ms: int) -> bytes:
    product = f"p{number % 9}"
    if number % 40 == 7:
        bought = [{"product_id": product, "price": 12.5, "category": "k"}]
        return line(number, at_ms, "order_completed", order_id=f"o{number}", products=bought)
    context = {"device": "phone", "location": "de", "channel": f"ad-{number % 3}"}
    details = {"category": f"k{number % 25}", "session_id": f"s{number // 30}", "context": context}
    return line(number, at_ms, "product_viewed", product_id=product, **details)


def shopper() -> list[bytes]:
    """A little of everything, a week's worth of it near the last moment."""
    lines = nasty_stream(Random(7), 80, SPICES["sessions-return"], subjects=1)
    before = [one for one in lines if b'"erase"' not in one and key_and_time(one)[1] < LAST_MS - DAY_MS]
    return [*before, *busy(30)]


def waiting() -> list[bytes]:
    """Late events, put aside: no watermark has passed since."""
    return [*busy(80), line(90_000, LAST_MS - 3 * HOUR_MS, "product_added", product_id="p1", price="3.10", quantity=2),
            line(90_001, LAST_MS - 2 * DAY_MS, "order_refunded", order_id="o47")]  # fmt: skip


def erased() -> list[bytes]:
    return [*busy(150), line(90_000, LAST_MS - DAY_MS, "erase")]


def denied() -> list[bytes]:
    return [*busy(60), line(90_000, LAST_MS + 1, "consent", purposes={"personalization": False}),
            line(90_001, LAST_MS + 2, "product_viewed", product_id="p1")]  # fmt: skip


def orphans() -> list[bytes]:
    """Refunds of orders that are not known."""
    lines = [{"product_id": "p", "price": 1}]
    return [*busy(20), line(90_000, LAST_MS + 1, "order_cancelled", order_id="x", total="7.77"),
            line(90_001, LAST_MS + 2, "order_refunded", order_id="y", products=lines)]  # fmt: skip


def visitor() -> list[bytes]:
    """Somebody in the middle of a visit: an older pack, and behind it some views and a search."""
    lines = [visit(number, LAST_MS - (70 - number) * 20_000) for number in range(70)]
    return [*lines, line(90_000, LAST_MS + 1, "products_searched", query="q")]


def left() -> list[bytes]:
    """The same, gone for two days: the items have been told, and the profile was written again since."""
    return visitor()


def recommended() -> list[bytes]:
    """Two sessions with recommendations: the items were told of the first one and of its clicks, not of the second."""
    lines = []
    for number in range(70):
        at_ms = LAST_MS + number * 5_000 + (-DAY_MS if number < 50 else 40 * 60_000)
        details = {"product_id": f"p{number % 9}", "request_id": f"r{number // 8}", "position": number % 8 + 1}
        lines.append(line(80_000 + number, at_ms, "recommendation_shown", **details))
        if number % 7 == 3:
            lines.append(line(81_000 + number, at_ms + 1_000, "recommendation_clicked", **details))
    somebody_else = line(90_000, LAST_MS - HOUR_MS, "products_searched", customer_id="c9")  # moves the watermark
    return [*lines, somebody_else]


HISTORIES = {
    "nobody": list,
    "shopper": shopper,
    "hot": lambda: busy(2_500),
    "waiting": waiting,
    "erased": erased,
    "denied": denied,
    "orphans": orphans,
    "visitor": visitor,
    "left": left,
    "recommended": recommended,
}
VERSIONS = dict.fromkeys(HISTORIES, 1) | {"visitor": 2, "left": 3, "recommended": 3}
"""Version 2 is one of version 1 with facts behind it; version 3 says the clock and what was published, too.

Of the customer of "recommended" there are parts that others do not have: what was shown, as it is and as it was told.
"""
LATER = [
    line(95_000, LAST_MS - 5 * HOUR_MS, "product_added", product_id="p3", price=4, category="late"),
    line(95_001, LAST_MS - 5 * DAY_MS, "order_completed", order_id="late", products=[{"product_id": "p3", "price": 9}]),
    line(95_002, LAST_MS + HOUR_MS, "product_viewed", product_id="p8", category="new"),
    line(2, LAST_MS - DAY_MS, "product_viewed", product_id="p0"),  # an id that some have seen before
    line(95_003, LAST_MS + 2 * HOUR_MS, "order_cancelled", order_id="late"),
    line(95_004, LAST_MS + 3 * HOUR_MS, "order_completed", order_id="x", products=[{"product_id": "p1", "price": 30}]),
]


def write(name: str) -> None:
    """Store a customer and what it means."""
    arrived = HISTORIES[name]()
    packed, chunks = Customer(CALENDAR).pack(DictChunkStore()), {}
    if name == "waiting":  # so far behind, the watermark has not passed anything
        finished = run_live(arrived, 0, settings=SETTINGS, rules=RULES, out_of_orderness_ms=30 * DAY_MS)
    elif name == "visitor":
        finished = run(arrived, LAST_MS + DAY_MS, settings=SETTINGS, rules=RULES)
    elif name == "recommended":
        finished = run_live(in_order(arrived), LAST_MS + HOUR_MS, settings=SETTINGS, rules=RULES)
    elif name == "left":
        finished = run_live(in_order(arrived), LAST_MS + 2 * DAY_MS, settings=SETTINGS, rules=RULES)
    elif arrived:
        until_ms = max(key_and_time(one)[1] for one in arrived) + HOUR_MS
        finished = run_live(in_order(arrived), until_ms, settings=SETTINGS, rules=RULES, cached_customers=1)
    if arrived:
        store = finished.local.stores["c0"]
        packed, chunks = store.load() or b"", dict(store)
    content = msgspec.msgpack.encode([packed, sorted(chunks.items())])
    (FIXTURES / f"{name}.v{VERSIONS[name]}.bin").write_bytes(content)
    (FIXTURES / f"{name}.v{VERSIONS[name]}.json").write_text(as_json(meaning(content)), encoding="utf-8")


def meaning(content: bytes) -> dict[str, Any]:
    """What a file says, now and after the later events."""
    packed, chunks = msgspec.msgpack.decode(content)
    store = DictChunkStore(dict(chunks))
    customer = Customer.unpack(CALENDAR, packed, store)
    found = {"pending": len(customer.pending), "said": _said(customer), "now": _as_of_now(customer)}
    for one in LATER:
        customer.accept(decode(one)[1], LAST_MS, store)
    customer.repair(store)
    customer.pass_time(LAST_MS + 12 * DAY_MS)
    return found | {"said_later": _said(customer), "later": _as_of_now(customer)}


def _as_of_now(customer: Customer) -> dict[str, Any]:
    fold, publication = customer.fold, customer.publication
    shown: dict[str, Any] = {}  # the older files say nothing of it
    if fold.impressions is not None:
        shown = {
            "shown": fold.impressions.shown(),
            "requests": fold.impressions.requests(),
            "shown_as_told": publication.told_shown(),
        }
    return shown | {
        "features": features_of(customer),
        "memberships": dict(customer.membership.since()),
        "viewed": fold.view_entries(*viewed_ledger(fold)),
        "bought": bought_ledger(fold),
        "viewed_as_told": publication.told_viewed(fold),
        "bought_as_told": publication.told_bought(),
        "denied": fold.denied,
        "duplicates": customer.duplicates,
        "late": customer.late,
        "revision": customer.revision,
    }


def _said(customer: Customer) -> list[Any]:
    """Corrections name what was published before, by its id."""
    return [[turn.segment, turn.change, turn.at_ms, turn.since_ms, turn.supersedes] for turn in customer.say()]


def as_json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


class TestStoredVersions:
    @pytest.mark.parametrize("name", HISTORIES)
    def test_it_still_means_the_same(self, name: str) -> None:
        expected = _stored_meaning(name)
        found = json.loads(as_json(meaning(_stored(name))))
        for when in ("now", "later"):
            score, wanted = (one[when]["features"].pop("engagement", None) for one in (found, expected))
            assert score == pytest.approx(wanted, rel=1e-9), when
        assert found == expected

    def test_every_file_is_read(self) -> None:
        assert {path.name.split(".")[0] for path in FIXTURES.iterdir()} == set(HISTORIES)

    @pytest.mark.parametrize("name", HISTORIES)
    def test_they_are_of_the_version_they_say(self, name: str) -> None:
        packed, _ = msgspec.msgpack.decode(_stored(name))
        parts = msgspec.msgpack.decode(packed)
        assert parts[0] == VERSIONS[name]
        assert parts[0] != 2 or len(parts[2]) > 3
        assert parts[0] < 3 or parts[3][0] > LAST_MS + 1

    def test_the_files_are_worth_reading(self) -> None:
        """Between them they have sealed chunks, waiting facts, snapshots, hashes, what items know, and no consent."""
        found = {name: _stored_meaning(name) for name in HISTORIES}
        chunks = {name: msgspec.msgpack.decode(_stored(name))[1] for name in HISTORIES}
        assert chunks["hot"]
        assert found["waiting"]["pending"] == 2
        assert found["denied"]["now"]["denied"]
        assert found["erased"]["now"]["features"]["views_7d"] < 100
        assert found["hot"]["now"]["features"]["views_30d"] > 2_000
        assert found["shopper"]["now"]["viewed_as_told"]
        assert found["shopper"]["now"]["bought_as_told"]
        assert found["erased"]["now"]["viewed_as_told"]
        assert found["left"]["now"]["viewed_as_told"] == found["left"]["now"]["viewed"]
        shown, told = (found["recommended"]["now"][part] for part in ("shown", "shown_as_told"))
        assert (len(shown), len(told)) == (50, 50)
        assert shown[0] == told[20]
        assert {0, 1} == {one[3] for one in shown} == {one[3] for one in told}
        assert len(set(found["recommended"]["now"]["requests"])) > 5
        assert any(one["now"]["memberships"] for one in found.values())
        assert any(row[4] for one in found.values() for row in one["said_later"])
        assert any(one["later"]["duplicates"] > one["now"]["duplicates"] for one in found.values())


def _stored(name: str) -> bytes:
    return (FIXTURES / f"{name}.v{VERSIONS[name]}.bin").read_bytes()


def _stored_meaning(name: str) -> Any:
    return json.loads((FIXTURES / f"{name}.v{VERSIONS[name]}.json").read_text(encoding="utf-8"))
