"""Who may ask what: keys, scopes, rates, origins; and that every fault is a problem."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.runtime.valkey import EmbeddedValkey
from tests.serving.served import Got, Served, serve

READ = ("/v1/recommendations/c-1", "/v1/customers/c-1", "/v1/items/p-1/similar", "/v1/popular", "/v1/segments",
        "/v1/segments/regulars/members", "/v1/changes")  # fmt: skip
OPEN = ("/healthz", "/readyz", "/v1/openapi.json")


@pytest.fixture(scope="module")
def guarded(valkey: EmbeddedValkey, keys: tuple[Path, dict[str, str]]) -> Iterator[Served]:
    """With keys, and for pages of one origin."""
    options = ("--keys", str(keys[0]), "--without-kafka", "--redis", valkey.url)
    with serve(
        *options, SEGMILL_SERVE_CORS_ORIGINS="https://shop.example", SEGMILL_SERVE_MAX_BODY_BYTES="1000"
    ) as server:
        server.until("/readyz", 200)
        yield server


def is_problem(got: Got, status: int, word: str) -> bool:
    """Whether it is this problem, with all that belongs to one."""
    body = got.json
    return (
        (got.status, body["status"], got.headers["content-type"]) == (status, status, "application/problem+json")
        and body["type"] == f"urn:segmill:problem:{word}"
        and bool(body["title"] and body["detail"])
    )


class TestKeys:
    @pytest.mark.parametrize("path", READ)
    def test_without_one_nothing_is_read(self, guarded: Served, path: str) -> None:
        """And with a wrong one neither."""
        got = guarded.ask(path)
        assert is_problem(got, 401, "no-key")
        assert got.headers["www-authenticate"].startswith("Bearer")
        assert is_problem(guarded.ask(path, x_api_key="sgm_wrong"), 401, "wrong-key")
        assert guarded.ask(path, authorization="Bearer sgm_é").status == 401
        assert is_problem(guarded.ask(path, authorization="Basic abc"), 401, "no-key")

    @pytest.mark.parametrize("path", OPEN)
    def test_some_paths_are_open(self, guarded: Served, path: str) -> None:
        """For those who watch the server, and those who write clients."""
        assert guarded.ask(path).status == 200

    def test_scopes(self, guarded: Served, keys: tuple[Path, dict[str, str]]) -> None:
        """A key reads, or writes, or may do all."""
        _, key = keys
        allowed = {
            (name, path): guarded.ask(
                path, method, {"events": [1]} if method == "POST" else None, x_api_key=key[name]
            ).status
            for name in ("read", "ingest", "admin")
            for path, method in (("/v1/popular", "GET"), ("/v1/events", "POST"), ("/metrics", "GET"))
        }
        assert allowed == {
            ("read", "/v1/popular"): 200, ("read", "/v1/events"): 403, ("read", "/metrics"): 403,
            ("ingest", "/v1/popular"): 403, ("ingest", "/v1/events"): 503, ("ingest", "/metrics"): 403,
            ("admin", "/v1/popular"): 200, ("admin", "/v1/events"): 503, ("admin", "/metrics"): 200,
        }  # fmt: skip

    def test_both_ways_to_send_one(self, guarded: Served, keys: tuple[Path, dict[str, str]]) -> None:
        """Bearer is written in any case."""
        assert guarded.ask("/v1/popular", x_api_key=keys[1]["read"]).status == 200
        assert guarded.ask("/v1/popular", authorization=f"bearer {keys[1]['read']}").status == 200

    def test_an_empty_header_is_none(self, guarded: Served, keys: tuple[Path, dict[str, str]]) -> None:
        """Beside the other one, which counts then; alone nothing was sent."""
        for empty in ("", "  "):
            got = guarded.ask("/v1/popular", x_api_key=empty, authorization=f"Bearer {keys[1]['read']}")
            assert got.status == 200
            assert is_problem(guarded.ask("/v1/popular", x_api_key=empty), 401, "no-key")

    def test_a_rate(self, guarded: Served, keys: tuple[Path, dict[str, str]]) -> None:
        """More than the key may ask is refused, with the time to wait; other keys go on."""
        got = [guarded.ask("/v1/popular", x_api_key=keys[1]["slow"]) for _ in range(3)]
        assert [one.status for one in got] == [200, 200, 429]
        assert int(got[-1].headers["retry-after"]) > 900
        assert guarded.ask("/v1/popular", x_api_key=keys[1]["read"]).status == 200


class TestProblems:
    def test_routes_and_methods(self, served: Served) -> None:
        """That do not exist."""
        for path in (
            "/",
            "/v1",
            "/v1/",
            "/v2/popular",
            "/v1/customers/",
            "/v1/items//similar",
            "/v1/items/similar",
            "//",
        ):
            assert is_problem(served.ask(path), 404, "unknown-route"), path
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "FOO"):
            got = served.ask("/v1/popular", method)
            assert is_problem(got, 405, "wrong-method")
            assert got.headers["allow"] == "GET"
        assert served.ask("/v1/popular", "HEAD").status == 405

    @pytest.mark.parametrize(
        ("query", "where"),
        [
            ("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"), ("limit=", "limit"),
            ("limit=1&limit=2", "limit"),
            ("limit=%2B1", "limit"), ("limit=null", "limit"), ("nope=1", "nope"), ("=1", "query"),
            ("%FF=1", "query"), ("page=%FF", "query"), ("page=", "page"), ("cart=", "cart"), ("time_ms=1", "time_ms"),
            ("time_ms=null", "time_ms"), ("in_stock=1", "in_stock"), ("least_price_cents=-1", "least_price_cents"),
            ("cart=a" * 1 + "&cart=a" * 100, "cart"), ("&".join(f"x{n}=1" for n in range(501)), "query"),
            ("limit=" + "9" * 400, "limit"), ("page=" + "x" * 513, "page"),
        ],
    )  # fmt: skip
    def test_parameters(self, served: Served, query: str, where: str) -> None:
        """Each fault names the parameter."""
        got = served.ask(f"/v1/recommendations/c-1?{query}")
        assert is_problem(got, 400, "invalid-parameter")
        assert got.json["errors"][0]["where"] == where

    def test_a_url_that_is_too_long(self, served: Served) -> None:
        """To the character; whichever part is."""
        room = 32_768 - len("/v1/popular")
        assert is_problem(served.ask("/v1/popular?" + "a" * room), 400, "invalid-parameter")
        for path in ("/v1/popular?" + "a" * (room + 1), "/v1/customers/" + "a" * 32_768, "/v1/popular?" + "a" * 65_000):
            assert is_problem(served.ask(path), 414, "url-too-long")
        assert b'route="/v1/popular",status="414"' in served.ask("/metrics").body

    def test_headers_that_are_too_many(self, served: Served) -> None:
        """Or too long together; an http client adds two of its own."""
        few = {f"x{number}": "1" for number in range(78)}
        assert served.ask("/v1/popular", **few).status == 200
        assert served.ask("/v1/popular", **{f"x{number}": "a" * 2_000 for number in range(30)}).status == 200
        for headers in (few | {"y": "1"}, few | {f"y{n}": "" for n in range(20)}, {"x": "a" * 65_536}):
            assert is_problem(served.ask("/v1/popular", **headers), 431, "headers-too-large")

    @pytest.mark.parametrize(
        ("sent", "status"),
        [
            (b"GET /healthz?" + b"a" * 65_535 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n", b"414"),
            (b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n" + b"x: 1\r\n" * 100 + b"\r\n", b"431"),
            (b"GET /a b HTTP/1.1\r\nhost: localhost\r\n\r\n", b"400"),
            (b"GET /\xff HTTP/1.1\r\nhost: localhost\r\n\r\n", b"400"),
            (b"GET / HTTP/1.1\r\nhost: localhost\r\nx\r\n\r\n", b"400"),
        ],
        ids=["url", "headers", "blank", "byte", "colon"],
    )
    def test_what_never_gets_as_far(self, served: Served, sent: bytes, status: bytes) -> None:
        """As docs/serving.md says: no body, and the connection is closed."""
        with socket.create_connection((served.host, served.port), 10) as connection:
            connection.sendall(sent)
            got = b"".join(iter(lambda: connection.recv(65_536), b""))
        first, _, rest = got.partition(b"\r\n")
        assert first.split()[1] == status
        assert b"content-length: 0" in rest
        assert rest.endswith(b"\r\n\r\n")

    def test_bodies(self, guarded: Served, keys: tuple[Path, dict[str, str]]) -> None:
        """That are too large, though nobody takes events here, are not read."""
        body = b"[" + b"1," * 1_000 + b"1]"
        got = guarded.ask("/v1/events", "POST", body, x_api_key=keys[1]["ingest"], content_type="application/json")
        assert got.status == 503


class TestOrigins:
    def test_a_page_of_a_known_origin_may_ask(self, guarded: Served) -> None:
        """Its browser asks first."""
        asked = {"origin": "https://shop.example", "access_control_request_method": "GET"}
        got = guarded.ask("/v1/popular", "OPTIONS", **asked)
        assert (got.status, got.headers["access-control-allow-origin"]) == (204, "https://shop.example")
        assert "x-api-key" in got.headers["access-control-allow-headers"]
        answer = guarded.ask("/v1/popular", origin="https://shop.example")
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (401, "https://shop.example")

    def test_others_may_not(self, guarded: Served, served: Served) -> None:
        """Nor does a server without origins let anybody."""
        asked = {"origin": "https://evil.example", "access_control_request_method": "GET"}
        for server in (guarded, served):
            got = server.ask("/v1/popular", "OPTIONS", **asked)
            assert got.status == 405
            assert "access-control-allow-origin" not in got.headers


class TestHosts:
    @pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8080", "127.1.2.3", "[::1]", "[::1]:80"])
    def test_this_machine_is_called_by_its_own_names(self, served: Served, host: str) -> None:
        """With any port: a proxy or a tunnel may have another one."""
        assert served.ask("/v1/popular", host=host).status == 200

    @pytest.mark.parametrize(
        "host",
        [
            "evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "x@127.0.0.1",
            "127.0.0.1@x", "[::1].evil.example", "localhost:80:80", "10.0.0.1", "192.168.1.1", "localhost/", "[", " ",
        ],
    )  # fmt: skip
    def test_a_page_whose_name_was_bound_anew_reads_nothing(self, served: Served, host: str) -> None:
        """Nobody needs a key here, so the name is all there is to tell it by."""
        for path in ("/v1/customers/c-1", "/metrics", "/healthz", "/nowhere"):
            assert is_problem(served.ask(path, host=host), 421, "wrong-host")
        assert served.ask("/metrics").body.count(b'status="421"') > 0

    def test_no_name_is_none_of_ours(self, served: Served) -> None:
        """As HTTP/1.0 allows."""
        with socket.create_connection((served.host, served.port), 10) as connection:
            connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            assert connection.recv(100).split()[1] == b"421"

    @pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost.evil.example:80", "file://"])
    def test_a_page_of_another_origin_changes_nothing(self, served: Served, origin: str) -> None:
        """Though the browser would ask first; who is no browser says no origin."""
        batch = {"events": [{}]}
        assert is_problem(served.ask("/v1/events", "POST", batch, origin=origin), 403, "wrong-origin")
        for ours in ({}, {"origin": "http://localhost:3000"}, {"origin": "http://[::1]"}):
            assert served.ask("/v1/events", "POST", batch, **ours).status == 503  # there is no Kafka

    def test_more_names_and_origins(self, valkey: EmbeddedValkey) -> None:
        """As the settings say."""
        with serve("--without-keys", "--without-kafka", "--redis", valkey.url,
                   SEGMILL_SERVE_ALLOWED_HOSTS="build-7.example Other.example",
                   SEGMILL_SERVE_CORS_ORIGINS="https://shop.example") as server:  # fmt: skip
            for host in ("build-7.example:80", "other.example", "localhost"):
                assert server.ask("/healthz", host=host).status == 200
            assert server.ask("/healthz", host="build-8.example").status == 421
            for origin, status in (("https://shop.example", 503), ("https://build-7.example", 503), ("null", 403)):
                assert server.ask("/v1/events", "POST", {"events": [{}]}, origin=origin).status == status

    def test_with_keys_any_name_will_do(self, guarded: Served) -> None:
        """A page does not have the key."""
        assert guarded.ask("/healthz", host="api.shop.example").status == 200
        assert is_problem(guarded.ask("/v1/popular", host="api.shop.example"), 401, "no-key")


class TestEventSources:
    @pytest.mark.parametrize("accept", ["text/event-stream", "Text/Event-Stream; q=1"])
    def test_one_is_told_to_come_again(self, served: Served, accept: str) -> None:
        """In a stream that ends: after any other status it would never ask again."""
        before = self.counted(served)
        got = served.ask("/v1/changes", accept=accept)
        assert (got.status, got.headers["content-type"]) == (200, "text/event-stream")
        retry, event, data, *ends = got.body.decode().split("\n")
        assert (retry, event, ends) == ("retry: 60000", "event: unavailable", ["", ""])
        problem = json.loads(data.removeprefix("data: "))
        assert (problem["type"], problem["status"]) == ("urn:segmill:problem:unavailable", 503)
        assert self.counted(served) == before + 1

    @staticmethod
    def counted(served: Served) -> int:
        """Streams that could not be had, as metrics tell."""
        counter = b'segmill_serve_requests_total{route="/v1/changes",status="503"} '
        lines = served.ask("/metrics").body.splitlines()
        return sum(int(line.removeprefix(counter)) for line in lines if line.startswith(counter))

    @pytest.mark.parametrize("accept", ["*/*", "text/event-stream, */*", "application/json", ""])
    def test_others_get_the_problem(self, served: Served, accept: str) -> None:
        """A program knows what to do with it."""
        assert is_problem(served.ask("/v1/changes", accept=accept), 503, "unavailable")

    def test_what_will_not_pass_ends_it(self, served: Served, guarded: Served) -> None:
        """A request that is wrong is wrong every time; and what is no stream is as it was."""
        accept = {"accept": "text/event-stream"}
        assert is_problem(served.ask("/v1/changes?nope=1", **accept), 400, "invalid-parameter")
        assert is_problem(guarded.ask("/v1/changes", **accept), 401, "no-key")
        assert is_problem(served.ask("/v1/events", "POST", {"events": [{}]}, **accept), 503, "unavailable")

    def test_a_rate(self, valkey: EmbeddedValkey, keys: tuple[Path, dict[str, str]]) -> None:
        """Passes, too."""
        with serve("--keys", str(keys[0]), "--without-kafka", "--redis", valkey.url) as server:
            asked = {"x_api_key": keys[1]["slow"], "accept": "text/event-stream"}
            got = [server.ask("/v1/changes", **asked) for _ in range(3)]
        assert [one.status for one in got] == [200, 200, 200]
        assert [b"too-many-requests" in one.body for one in got] == [False, False, True]
        assert int(got[-1].body.partition(b"retry: ")[2].partition(b"\n")[0]) > 900_000


class TestKafkaGone:
    def test_events_are_not_taken(self, valkey: EmbeddedValkey) -> None:
        """What cannot be acknowledged is not accepted; what is wrong is still told."""
        event = {"event_id": "e", "type": "identify", "timestamp": 1_760_000_000_000, "customer_id": "c"}
        options = ("--without-keys", "--redis", valkey.url, "--bootstrap", "127.0.0.1:1")
        with serve(*options, SEGMILL_SERVE_INGEST_TIMEOUT_MS="500") as served:
            for _ in range(2):
                got = served.ask("/v1/events", "POST", {"events": [event]})
                assert is_problem(got, 503, "unavailable")
                assert got.headers["retry-after"]
            assert is_problem(served.ask("/v1/events", "POST", {"events": [{}]}), 422, "unusable-body")
            assert served.ask("/v1/popular").status == 200

    def test_one_key_does_not_take_all_streams(self, valkey: EmbeddedValkey, keys: tuple[Path, dict[str, str]]) -> None:
        """A quarter of them; others have theirs. (Here they are being opened, as Kafka is asked for ten seconds.)"""
        options = ("--keys", str(keys[0]), "--redis", valkey.url, "--bootstrap", "127.0.0.1:1")
        with serve(*options, SEGMILL_SERVE_MAX_STREAMS="8") as served:
            served.until("/readyz", 200)
            asking = []
            for number, name in enumerate(("read", "read", "admin"), 1):
                headers = {"x_api_key": keys[1][name]}
                asking.append(threading.Thread(target=served.ask, args=("/v1/changes",), kwargs=headers))
                asking[-1].start()
                until = time.monotonic() + 10
                while f"segmill_serve_streams {number}\n" not in self.metrics(served, keys[1]["admin"]):
                    assert time.monotonic() < until
            got = served.ask("/v1/changes", x_api_key=keys[1]["read"])
            assert is_problem(got, 429, "too-many-streams")
            assert got.headers["retry-after"] == "5"
        for one in asking:
            one.join()

    @staticmethod
    def metrics(served: Served, key: str) -> str:
        """As one text."""
        return served.ask("/metrics", x_api_key=key).body.decode()

    def test_the_server_ends_while_a_stream_is_being_opened(self, valkey: EmbeddedValkey) -> None:
        """Soon, and the client is told; Kafka is asked for ten seconds otherwise."""
        options = ("--without-keys", "--redis", valkey.url, "--bootstrap", "127.0.0.1:1")
        answers: list[Got] = []
        with serve(*options) as served:
            served.until("/readyz", 200)
            asking = threading.Thread(target=lambda: answers.append(served.ask("/v1/changes")))
            asking.start()
            until = time.monotonic() + 10
            while b"segmill_serve_streams 1" not in served.ask("/metrics").body:
                assert time.monotonic() < until
            began_s = time.monotonic()
        assert time.monotonic() - began_s < 4
        asking.join()
        assert is_problem(answers[0], 503, "unavailable")
