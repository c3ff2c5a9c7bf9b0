"""The parts of the forwarder that need neither broker nor receiver."""

import base64
import random
import threading
import time
from pathlib import Path

import pytest
from cli_runs import call

from jobs.commands.forward import forward_command
from jobs.forward.courier import LONGEST_PAUSE_S, Courier, backoff_s, body_of, identity
from jobs.forward.endpoint import Answer, answer_of, checked_url, shown_url
from jobs.forward.errors import ForwardProblem
from jobs.forward.forward import ForwardPlan
from jobs.forward.lanes import Lanes, Outcome, Pause, Task
from jobs.forward.ledger import Ledger
from jobs.forward.signature import read_secrets, sign

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW_S = 1_614_265_330


class TestSignature:
    def test_the_published_vector(self) -> None:
        """Of the reference libraries of Standard Webhooks."""
        signed = sign(
            read_secrets(None, {"SEGMILL_WEBHOOK_SECRET": SECRET}),
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            NOW_S,
            b'{"test": 2432232314}',
        )
        assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

    def test_each_secret_signs(self, tmp_path: Path) -> None:
        """So that a receiver can change over."""
        other = "whsec_" + base64.b64encode(b"x" * 32).decode()
        file = tmp_path / "secret"
        file.write_text(f"{SECRET}\n{other}\n")
        both = sign(read_secrets(file, {}), "m", NOW_S, b"{}").split(" ")
        assert len(both) == 2
        assert both[0] == sign(read_secrets(None, {"SEGMILL_WEBHOOK_SECRET": SECRET}), "m", NOW_S, b"{}")

    @pytest.mark.parametrize("text", ["", " \n", "whsec_", "whsec_???", "whsec_c2hvcnQ=", "whsec_" + "eHh4" * 30])
    def test_bad_secrets_are_not_shown(self, text: str, tmp_path: Path) -> None:
        """The message says how to make one."""
        file = tmp_path / "s"
        file.write_text(text)
        with pytest.raises(ForwardProblem, match="openssl rand") as caught:
            read_secrets(file, {})
        assert "c2hvcnQ" not in str(caught.value)
        assert "eHh4eHh4" not in str(caught.value)


class TestUrl:
    @pytest.mark.parametrize(
        "url", ["https://crm.example/x", "http://127.0.0.1:8000/", "http://localhost/x", "http://[::1]:80/x"]
    )
    def test_what_may_be_used(self, url: str) -> None:
        """Https anywhere, http here."""
        assert checked_url(url, allow_http=False) == url

    @pytest.mark.parametrize(
        ("url", "said"),
        [
            ("http://crm.example/x", "--allow-http"),
            ("http://127.0.0.1.example/x", "--allow-http"),
            ("http://0.0.0.0/x", "--allow-http"),
            ("ftp://crm.example/x", "https://host/path"),
            ("crm.example", "https://host/path"),
            ("https://", "https://host/path"),
            ("https://me:secret@crm.example/", "no user and password"),
            ("https://crm.example:port/", "--url"),
        ],
    )
    def test_what_may_not(self, url: str, said: str) -> None:
        """The reason is said, the password is not."""
        with pytest.raises(ForwardProblem) as caught:
            checked_url(url, allow_http=False)
        assert said in str(caught.value)
        assert "secret" not in str(caught.value)

    def test_allowed(self) -> None:
        """By those who know what they do; tokens in the query are not shown."""
        assert checked_url("http://crm.example/x?token=1", allow_http=True)
        assert shown_url("https://crm.example/x?token=1") == "https://crm.example/x"


class TestAnswers:
    @pytest.mark.parametrize(
        ("status", "kind"),
        [(200, "delivered"), (204, "delivered"), (301, "refused"), (400, "refused"), (404, "refused"), (408, "again"),
         (410, "gone"), (429, "again"), (500, "again"), (503, "again")],
    )  # fmt: skip
    def test_what_a_status_means(self, status: int, kind: str) -> None:
        """By Standard Webhooks, and by which of them pass."""
        assert answer_of(status, None, NOW_S).kind == kind

    @pytest.mark.parametrize(
        ("header", "seconds"),
        [("7", 7), (" 7 ", 7), ("Thu, 25 Feb 2021 15:02:20 GMT", 10), ("Thu, 25 Feb 2021 15:02:00 GMT", 0),
         ("soon", 0), ("-5", 0), ("99999999", 3600), (None, 0), ("", 0), ("²", 0)],
    )  # fmt: skip
    def test_retry_after(self, header: str | None, seconds: float) -> None:
        """Seconds or a date; nonsense is nothing, and nobody makes us wait for ever."""
        assert answer_of(503, header, NOW_S).retry_after_s == seconds


class _Receiver:
    def __init__(self, *answers: Answer) -> None:
        self.answers, self.ids = list(answers), list[str]()

    def post(self, message_id: str, body: bytes) -> Answer:
        self.ids.append(message_id)
        return self.answers.pop(0)


class _Dead:
    def __init__(self) -> None:
        self.letters: list[tuple[Task, str, int | None, int]] = []

    def put(self, task: Task, reason: str, status: int | None, attempts: int) -> None:
        self.letters.append((task, reason, status, attempts))


GOOD, BUSY, BAD = (
    Answer("delivered", "status 200", 200),
    Answer("again", "status 503", 503),
    Answer("refused", "status 400", 400),
)
TASK = Task(1, 7, b"c", b'{"change_id":"abc123"}')


def carried(
    *answers: Answer, retry_for_s: float = 100, patience: bool = True
) -> tuple[Outcome | None, list[float], _Dead]:
    pauses: list[float] = []
    dead = _Dead()

    def pause(seconds: float) -> bool:
        pauses.append(seconds)
        return patience

    outcome = Courier("t", _Receiver(*answers), dead, retry_for_s, jitter=lambda: 0.5).carry(TASK, pause)
    return outcome, pauses, dead


class TestCourier:
    def test_until_it_is_delivered(self) -> None:
        """With longer and longer pauses."""
        outcome, pauses, dead = carried(BUSY, BUSY, BUSY, GOOD)
        assert (outcome, dead.letters) == ("delivered", [])
        assert pauses == [0.375, 0.75, 1.5]

    def test_the_receiver_may_ask_for_more_time(self) -> None:
        """But not for less."""
        outcome, pauses, _ = carried(
            Answer("again", "status 429", 429, 9), Answer("again", "status 429", 429, 0.1), GOOD
        )
        assert (outcome, pauses) == ("delivered", [9, 0.75])

    def test_refused(self) -> None:
        """No second attempt, a dead letter."""
        outcome, pauses, dead = carried(BAD)
        assert (outcome, pauses, dead.letters) == ("dead", [], [(TASK, "status 400", 400, 1)])

    def test_for_too_long(self) -> None:
        """A dead letter with the last answer."""
        outcome, pauses, dead = carried(BUSY, BUSY, retry_for_s=0.5)
        assert (outcome, len(pauses)) == ("dead", 1)
        assert dead.letters[0][1].startswith("status 503, given up after")

    def test_given_up_on_the_way(self) -> None:
        """Neither delivered nor dead: it will be carried again."""
        assert carried(BUSY, patience=False)[0] is None

    def test_gone(self) -> None:
        """Ends it all, and no record with it."""
        with pytest.raises(ForwardProblem, match="410"):
            carried(Answer("gone", "status 410", 410))

    def test_pauses_are_bounded(self) -> None:
        """From above, and never nothing."""
        pauses = [backoff_s(attempt, random.random()) for attempt in range(1, 2_000)]
        assert min(pauses) >= 0.25
        assert max(pauses) <= LONGEST_PAUSE_S


class TestIdentity:
    def test_of_a_change(self) -> None:
        """Its own id; the same for each attempt, and for the same change replayed elsewhere."""
        assert identity("t", TASK) == "abc123"
        assert identity("u", Task(2, 9, b"c", TASK.value)) == "abc123"

    @pytest.mark.parametrize("value", [None, b"", b"\xff", b"[]", b"{}", b'{"change_id":"a.b"}', b'{"change_id":5}'])
    def test_of_anything_else(self, value: bytes | None) -> None:
        """Its place; no full stop, which separates what is signed."""
        name = identity("shop.events", Task(1, 7, None, value))
        assert name == identity("shop.events", Task(1, 7, b"k", value))
        assert name != identity("shop.events", Task(1, 8, None, value))
        assert "." not in name

    def test_a_record_without_a_value(self) -> None:
        """Names its key."""
        assert body_of(Task(0, 0, "ä".encode(), None)) == '{"key":"ä","value":null}'.encode()


class TestLedger:
    def test_only_an_unbroken_row(self) -> None:
        """What is behind an open record waits; offsets may have gaps."""
        ledger = Ledger()
        for offset in (3, 4, 8, 9):
            ledger.begin(0, offset)
        ledger.done(0, 4)
        ledger.done(0, 9)
        assert ledger.committable() == {}
        ledger.done(0, 3)
        assert (ledger.committable(), ledger.under_way) == ({0: 5}, 1)
        ledger.committed({0: 5})
        assert (ledger.committable(), ledger.committable(again=True)) == ({}, {0: 5})
        ledger.done(0, 8)
        assert (ledger.committable(), ledger.under_way) == ({0: 10}, 0)

    def test_partitions_that_go(self) -> None:
        """What comes of them afterwards, or twice, says nothing."""
        ledger = Ledger()
        for partition in (0, 1):
            for offset in (1, 2, 3):
                ledger.begin(partition, offset)
        ledger.done(1, 2)
        ledger.drop(1)
        assert ledger.under_way == 3
        ledger.done(1, 1)
        ledger.done(0, 1)
        ledger.done(0, 1)
        assert (ledger.committable(), ledger.under_way) == ({0: 2}, 2)

    def test_any_order(self) -> None:
        """Never beyond an open one; everything at the end."""
        draw = random.Random(1)
        ledger = Ledger()
        for offset in range(200):
            ledger.begin(0, offset)
        order = list(range(200))
        draw.shuffle(order)
        left = set(order)
        for offset in order:
            ledger.done(0, offset)
            left.discard(offset)
            assert ledger.committable().get(0, 0) == min(left, default=200)


class TestLanes:
    def test_one_customer_in_order_others_beside(self) -> None:
        """However long each takes."""
        seen: dict[bytes, list[int]] = {}
        at_once, most = [0], [0]
        lock = threading.Lock()

        def carry(task: Task, _: Pause) -> Outcome:
            with lock:
                at_once[0] += 1
                most[0] = max(most[0], at_once[0])
            time.sleep(random.random() * 0.002)
            with lock:
                at_once[0] -= 1
                seen.setdefault(task.key or b"", []).append(task.offset)
            return "delivered"

        lanes = Lanes(4, carry)
        for offset in range(400):
            lanes.put(Task(0, offset, b"c%d" % (offset % 20), None))
        finished = 0
        while finished < 400:
            finished += len(lanes.finished())
            time.sleep(0.01)
        assert lanes.close(5)
        assert all(offsets == sorted(offsets) for offsets in seen.values())
        assert 1 < most[0] <= 4

    def test_revoke(self) -> None:
        """Forgets what waits, interrupts pauses, and returns when nothing is on its way."""
        began, ended = threading.Event(), list[int]()

        def carry(task: Task, pause: Pause) -> Outcome | None:
            began.set()
            if not pause(60):
                time.sleep(0.3)  # a request that is still open
                ended.append(task.offset)
                return None
            return "delivered"

        lanes = Lanes(1, carry)
        for offset in range(5):
            lanes.put(Task(3, offset, b"c", None))
        assert began.wait(5)
        lanes.revoke([3], 5)
        assert ended == [0]
        assert lanes.close(5)
        assert (ended, lanes.finished()) == ([0], [])

    def test_closing_finishes_what_is_there(self) -> None:
        """But where one would have to wait, nothing of the same thread overtakes it."""
        done: list[tuple[bytes | None, int]] = []

        def carry(task: Task, pause: Pause) -> Outcome | None:
            time.sleep(0.01)
            if task.key == b"fails" and not pause(60):
                return None
            done.append((task.key, task.offset))
            return "delivered"

        lanes = Lanes(2, carry)
        for offset in range(10):  # the two keys have a thread each
            lanes.put(Task(0, offset, b"works" if offset % 2 else b"fails", None))
        assert lanes.close(5)
        assert done == [(b"works", offset) for offset in (1, 3, 5, 7, 9)]
        assert len(lanes.finished()) == 5

    def test_a_fault_is_told(self) -> None:
        """To whoever waits for the rest."""

        def carry(task: Task, _: Pause) -> Outcome:
            raise ForwardProblem("gone")

        lanes = Lanes(2, carry)
        lanes.put(Task(0, 0, b"c", None))
        until = time.monotonic() + 5
        while lanes.fault is None and time.monotonic() < until:
            time.sleep(0.01)
        assert str(lanes.fault) == "gone"
        assert lanes.close(5)


class TestUsage:
    @pytest.mark.parametrize(
        ("source", "dead"),
        [
            ("own", "own"),
            ("segment-changes", "segment-changes"),
            ("segment-changes", "events"),
            ("shop-2.segment-changes", "shop-2.events"),
            ("segment-changes", "shop-2.control"),
            ("segment-changes", "other_segment-memberships"),
        ],
    )
    def test_dead_letters_are_not_read_again(
        self, source: str, dead: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Neither by the forwarder nor by a job; found before a broker is asked."""
        monkeypatch.setenv("SEGMILL_WEBHOOK_SECRET", SECRET)
        said = call(capsys, *("forward", "--url", "https://crm.example/", "--bootstrap", "127.0.0.1:1"),
                    *("--topic", source, "--dead-letters", dead))  # fmt: skip
        assert said.code == 1
        assert f"dead letters cannot go to {dead}" in said.err
        assert f"{source}-dead" in said.err.replace("\n", "")

    @pytest.mark.parametrize(("stated", "seconds"), [("2s", 2.0), ("500ms", 0.5), ("1min", 60.0), ("0.5", 0.5)])
    def test_report_every(self, stated: str, seconds: float) -> None:
        """With a unit, as elsewhere; without one, seconds."""
        arguments = ["--url", "https://crm.example/", "--report-every", stated]
        assert forward_command.make_context("forward", arguments).params["report_every_s"] == seconds

    def test_any_other_topic_takes_dead_letters(self) -> None:
        """Those of dead letters, say."""
        for source in ("segment-changes", "shop-2.events", "segment-changes-dead"):
            assert ForwardPlan(source, "g", f"{source}-dead", 1, 1.0, 1.0, "latest", 1.0).topic == source

    def test_no_secret(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing unsigned is ever sent."""
        monkeypatch.delenv("SEGMILL_WEBHOOK_SECRET", raising=False)
        said = call(capsys, "forward", "--url", "https://crm.example/")
        assert said.code == 1
        assert "SEGMILL_WEBHOOK_SECRET is not set" in said.err
