"""A browser's own EventSource, for which there is nothing to stream just now: it comes again by itself."""

from collections.abc import Iterator

import pytest

from jobs.runtime.valkey import EmbeddedValkey
from tests.serving.served import Served, serve
from tests.shop.browsers import Browser, browser

pytestmark = pytest.mark.browser

TWO_STREAMS = """
    window.told = {first: 0, second: 0, ended: 0};
    for (const name of ["first", "second"]) {
        const stream = new EventSource("/v1/changes");
        stream.addEventListener("unavailable", event => {
            window.told[name] += JSON.parse(event.data).status === 503;
        });
        stream.addEventListener("error", () => {
            window.told.ended += stream.readyState === EventSource.CLOSED;
        });
    }
"""


@pytest.fixture
def one_stream(valkey: EmbeddedValkey) -> Iterator[Served]:
    """No Kafka is there: one stream is being opened, and there is no room for another one."""
    options = ("--without-keys", "--redis", valkey.url, "--bootstrap", "127.0.0.1:1")
    with serve(*options, SEGMILL_SERVE_MAX_STREAMS="1") as server:
        server.until("/readyz", 200)
        yield server


@pytest.fixture
def window() -> Iterator[Browser]:
    with browser(javascript=True) as opened:
        yield opened


def test_it_comes_again(one_stream: Served, window: Browser) -> None:
    """Neither a server that is full nor a Kafka that is gone ends it."""
    window.open(one_stream.url + "/healthz")
    window.driver.execute_script(TWO_STREAMS)
    window.until(lambda: window.ask("Math.min(window.told.first, window.told.second)"), "each was told")
    window.until(lambda: window.ask("Math.max(window.told.first, window.told.second) >= 2"), "one came again")
    assert window.ask("window.told.ended") == 0
