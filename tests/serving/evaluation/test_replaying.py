"""A log replayed: what is asked, and that nothing is learned before it is foretold."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from schemas.decode import Decoder
from schemas.settings import Settings
from schemas.timestamps import EARLIEST_MS
from serving.evaluation.clicks import ClicksError, are_clicks, click_events
from serving.evaluation.replay import ANY, NEW, Asked, Event, Replay
from serving.evaluation.replay_source import ReplaySource
from serving.evaluation.shop import LocalShop
from state.rules.ruleset import load_rules
from tests.jobs.cli_runs import call

SETTINGS = Settings()
START_MS = 1_740_787_200_000
MINUTE_MS = 60_000


def views(*sessions: str, apart_ms: int = 120 * MINUTE_MS, start_ms: int = START_MS) -> list[Event]:
    """Sessions of visitors of their own, one after the other; items are letters, a minute apart."""
    decode = Decoder(SETTINGS).decode
    events = []
    for number, items in enumerate(sessions):
        for place, item in enumerate(items):
            at_ms = start_ms + number * apart_ms + place * MINUTE_MS
            event = {"event_id": f"{number}-{place}", "type": "product_viewed", "timestamp": at_ms,
                     "customer_id": f"c{number}", "product_id": item}  # fmt: skip
            raw = json.dumps(event).encode()
            events.append(Event(*decode(raw), raw))
    return events


def replayed(events: list[Event], **asked: Any) -> Replay:
    replay = Replay(SETTINGS, load_rules(), Asked(**{"k": 3, **asked}))
    asyncio.run(replay.run(events))
    return replay


class TestClicksOnRecommendations:
    def test_they_go_the_way_of_the_live_job(self) -> None:
        """Known once the sessions are over, and not before."""
        source = ReplaySource()
        shop = LocalShop(SETTINGS, load_rules(), source)
        found = []
        for number in range(42):
            told = [("shown", "a", 1), ("shown", "b", 2), ("clicked", "b", 2)]
            for place, (kind, item, position) in enumerate(told):
                at_ms = START_MS + number * MINUTE_MS + place
                event = {"event_id": str(place), "type": f"recommendation_{kind}", "timestamp": at_ms,
                         "customer_id": f"c{number}", "product_id": item, "position": position}  # fmt: skip
                shop.feed(f"c{number}", at_ms, json.dumps(event).encode())
            found.append(source.clicks().factors(START_MS, 1.0))
        assert found[29] == {}
        assert found[-1]["a"] < 1 < found[-1]["b"]


class TestAsking:
    def test_every_view_but_the_first_of_a_session(self) -> None:
        """And of those only new items for the one question."""
        replay = replayed(views("abab", "a", "abc"))
        assert len(replay.tallies[ANY]["session"].ranks) == 5
        assert len(replay.tallies[NEW]["session"].ranks) == 3
        assert len(replay.tallies[ANY]["VS-KNN (2018)"].ranks) == 5

    def test_foretold_before_it_is_learned(self) -> None:
        """Nobody can foretell what has never been seen; once a session is over, its lists are there."""
        replay = replayed(views(*["ab"] * 40, "xy"), strategies=("session",), k=1)
        ranks = replay.tallies[NEW]["session"].ranks
        assert ranks[0] == 0
        assert ranks[-1] == 0
        assert ranks[-2] == 1

    def test_from_and_until(self) -> None:
        """What is before is learned and not asked, what is behind is asked and not learned."""
        events = views("ab", "ab", "ab", "ab")
        replay = replayed(events, from_ms=events[4].fact.time_ms, until_ms=events[2].fact.time_ms)
        assert len(replay.tallies[ANY]["session"].ranks) == 2
        assert replay.popularity.keys() == {"a", "b"}
        assert replayed(events, until_ms=0).popularity == {}

    def test_first_views(self) -> None:
        """Of visitors who came before, if that is asked for."""
        events = views("ab")
        again = views("c")[0]
        fact = again.fact
        later = Event("c0", type(fact)(fact.time_ms + 300 * MINUTE_MS, "later", fact.kind, "c"), again.raw)
        assert len(replayed([*events, later]).tallies[ANY]["session"].ranks) == 1
        assert len(replayed([*events, later], first_views=True).tallies[ANY]["session"].ranks) == 2

    def test_the_same_twice(self) -> None:
        """No clock, no chance."""
        events = views("abc", "bcd", "abd", "acd", "bad")
        first, second = (replayed(events).tallies[ANY] for _ in range(2))
        assert {name: tally.ranks for name, tally in first.items()} == {n: t.ranks for n, t in second.items()}


class TestLongLogs:
    def test_a_log_of_decades(self) -> None:
        """Is replayed to its end."""
        replay = replayed(
            views(*["abc"] * 60, apart_ms=200 * 86_400_000, start_ms=EARLIEST_MS), strategies=("session", "popular")
        )
        assert len(replay.tallies[ANY]["popular"].ranks) == 120


class TestClicks:
    def test_session_rec(self, tmp_path: Path) -> None:
        """Tabs and seconds; a session is a visitor."""
        file = tmp_path / "clicks.txt"
        file.write_text("SessionId\tItemId\tTime\n1\t7\t1740787200.5\n")
        assert are_clicks(file)
        subject, fact = Decoder(SETTINGS).decode(next(click_events(file)))
        assert (subject, fact.product_id, fact.time_ms, fact.session_id) == ("s-1", "7", 1_740_787_200_500, "1")

    def test_retail_rocket(self, tmp_path: Path) -> None:
        """Views, carts and transactions."""
        file = tmp_path / "events.csv"
        head = "timestamp,visitorid,event,itemid,transactionid\n"
        rows = f"{START_MS},5,view,7,\n{START_MS},5,addtocart,7,\n{START_MS},5,transaction,7,90\n"
        file.write_text(head + rows)
        facts = [Decoder(SETTINGS).decode(raw)[1] for raw in click_events(file)]
        assert [fact.product_id or fact.lines[0][0] for fact in facts] == ["7", "7", "7"]
        assert facts[2].order_id == "90"

    @pytest.mark.parametrize(
        ("lines", "fault"),
        [
            (b"1\t7\tinf\n", "3: no click: inf is no time"), (b"1\t7\tnan\n", "3: no click: nan is no time"),
            (b"1\t7\n", "3: no click: 2 fields, 3 are in the header"), (b"1\t7\t5\t6\n", "4 fields"),
            (b"1\t" + b"x" * 200_000 + b"\t5\n", "3: no click: field larger"), (b"1\t\xff\t5\n", "no UTF-8 text"),
        ],
    )  # fmt: skip
    def test_lines_that_are_none(self, tmp_path: Path, capsys: Any, lines: bytes, fault: str) -> None:
        """The command names the file and the line, and says no more."""
        file = tmp_path / "clicks.txt"
        file.write_bytes(b"SessionId\tItemId\tTime\n1\t7\t1740787200\n" + lines)
        said = call(capsys, "evaluate", file)
        assert (said.code, said.err.count("\n")) == (1, 1)
        assert str(file) in said.err
        assert fault in said.err

    def test_retail_rocket_lines_that_are_none(self, tmp_path: Path) -> None:
        """Of another event, or without all fields."""
        file = tmp_path / "events.csv"
        for row, fault in (("1,5,wish,7,", "'wish' is none of view, addtocart, transaction"), ("1,5,view", "3 fields")):
            file.write_text(f"timestamp,visitorid,event,itemid,transactionid\n{row}\n")
            with pytest.raises(ClicksError, match=f"2: no click: {fault}"):
                list(click_events(file))

    def test_clicks_that_are_no_events(self, tmp_path: Path, capsys: Any) -> None:
        """Of far-away times, or of nobody: counted with their reason. A quotation mark hides nothing."""
        file = tmp_path / "clicks.txt"
        good = "".join(f'{session}\t"{item}\t{1_740_787_200 + item}\n' for session in (1, 2) for item in range(3))
        bad = "1\t7\t1e300\n1\t7\t32503680000\n1\t7\t-5\n\t7\t1740787200\n1\t\t1740787200\n"
        file.write_text("\ufeffSessionId\tItemId\tTime\n" + good + bad)
        said = call(capsys, "evaluate", file, "--warm-up", "0", "--json")
        assert (said.code, said.json["events"]) == (0, 6)
        assert said.json["rejected"] == {
            "timestamp_in_future": 2, "timestamp_too_old": 1, "no_subject": 1, "missing_field": 1
        }  # fmt: skip

    def test_faults_name_the_line(self, tmp_path: Path) -> None:
        """And other files are no clicks."""
        file = tmp_path / "clicks.txt"
        file.write_text("SessionId\tItemId\tTime\n1\t7\t1740787200\n1\t7\tsoon\n")
        with pytest.raises(ClicksError, match=r"clicks\.txt:3: no click"):
            list(click_events(file))
        file.write_text('{"event_id": 1}\n')
        assert not are_clicks(file)


class TestCommand:
    def test_prints_json(self, tmp_path: Path, capsys: Any) -> None:
        """With every method, its intervals, and from when it was asked."""
        log = tmp_path / "log.jsonl"
        log.write_bytes(b"\n".join(event.raw for event in views("abc", "bcd", "abd")) + b"\nnonsense\n")
        said = call(capsys, "evaluate", log, "--warm-up", "0", "-k", "5", "--json")
        assert (said.code, said.json["events"], sum(said.json["rejected"].values())) == (0, 9, 1)
        methods = said.json["questions"][ANY]
        assert {"session", "personal", "seed", "popular", "VS-KNN (2018)", "S-KNN (2018)"} <= methods.keys()
        assert methods["session"]["questions"] == 6
        for measure in ("hit_rate", "reciprocal_rank", "ndcg", "coverage", "popularity", "gini"):
            assert methods["session"][measure].keys() == {"mean", "low", "high"}

    def test_prints_a_table(self, tmp_path: Path, capsys: Any) -> None:
        """Of each question, all measures but the time with their intervals."""
        log = tmp_path / "log.jsonl"
        log.write_bytes(b"\n".join(event.raw for event in views("abc", "bcd")))
        said = call(capsys, "evaluate", log, "--warm-up", "0", "--strategy", "session", "--no-baselines")
        assert said.out.count("session ") >= 2
        assert said.out.count("±") == 2 * 6
        assert "VS-KNN" not in said.out

    def test_a_repeated_event_is_asked_once(self, tmp_path: Path, capsys: Any) -> None:
        """As the job counts it once: the second time anybody could foretell it. Lines of two files are two events."""
        log, other = tmp_path / "log.jsonl", tmp_path / "more" / "clicks.txt"
        log.write_bytes(b"\n".join(event.raw for event in views("abc", "bcd")))
        once, twice = (call(capsys, "evaluate", *[log] * times, "--warm-up", "0", "--json").json for times in (1, 2))
        assert (twice["events"], twice["rejected"]) == (6, {"duplicate": 6})
        first, second = (said["questions"][ANY]["session"] for said in (once, twice))
        assert (second["questions"], second["hit_rate"]) == (4, first["hit_rate"])
        other.parent.mkdir()
        for number, file in enumerate((other, tmp_path / "clicks.txt")):
            file.write_text(f"SessionId\tItemId\tTime\n1\ta\t{1_740_787_200 + number}\n")
        said = call(capsys, "evaluate", other, tmp_path / "clicks.txt", "--warm-up", "0", "--json")
        assert (said.json["events"], said.json["rejected"], said.json["questions"][ANY]["session"]["questions"]) == (
            2,
            {},
            1,
        )

    def test_what_the_catalog_says_counts(self, tmp_path: Path, capsys: Any) -> None:
        """As where it is served: what is out of stock is not shown. Lines that are no items are told of."""
        log, catalog = tmp_path / "log.jsonl", tmp_path / "items.jsonl"
        log.write_bytes(b"\n".join(event.raw for event in views(*["ab"] * 40)))
        rates = []
        for stock in ("true", "false"):
            catalog.write_text(f'{{"item_id": "b", "in_stock": {stock}}}\nnonsense\n')
            said = call(capsys, "evaluate", log, "--no-baselines", "--json", "--catalog", catalog)
            assert (said.code, "1 lines are no items" in said.err) == (0, True)
            rates.append(said.json["questions"][NEW]["session"]["hit_rate"]["mean"])
        assert rates[0] > rates[1] == 0

    def test_a_share_that_is_no_number(self, tmp_path: Path, capsys: Any) -> None:
        """Is refused like one out of range."""
        log = tmp_path / "log.jsonl"
        log.write_bytes(b"\n".join(event.raw for event in views("abc")))
        said = call(capsys, "evaluate", log, "--warm-up", "nan")
        assert (said.code, "nan is no share" in said.err) == (2, True)

    def test_nothing_to_ask(self, tmp_path: Path, capsys: Any) -> None:
        """Is said, and is no answer."""
        log = tmp_path / "log.jsonl"
        log.write_bytes(b"\n".join(event.raw for event in views("a", "b")))
        said = call(capsys, "evaluate", log, "--warm-up", "0")
        assert (said.code, "nothing was asked" in said.err) == (1, True)
