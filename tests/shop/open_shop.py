"""The shop's server in this process, and a client that keeps the cookie and nothing else."""

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import NamedTuple
from urllib.parse import urlencode

from examples.shop.advice import Advisor
from examples.shop.api import Api
from examples.shop.catalogue import SHIPPED, load_catalogue
from examples.shop.events import Events
from examples.shop.server import Shop, ShopServer

TIMEOUT_S = 0.5


class Page(NamedTuple):
    """What came."""

    status: int
    headers: http.client.HTTPMessage
    text: str

    @property
    def location(self) -> str | None:
        return self.headers["Location"]


class Visitor:
    """A client without JavaScript, of a browser that says where a form comes from."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.cookie: str | None = None

    def get(self, path: str, **headers: str) -> Page:
        return self._ask("GET", path, None, headers)

    def post(self, path: str, fields: dict[str, str] | bytes | None = None, **headers: str | None) -> Page:
        """A form of the shop's own page; a header that is None is left out."""
        body = fields if isinstance(fields, bytes) else urlencode(fields or {}).encode()
        sent = {"Sec_Fetch_Site": "same-origin", "Content_Type": "application/x-www-form-urlencoded"} | headers
        return self._ask("POST", path, body, {name: value for name, value in sent.items() if value is not None})

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Page:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookie is not None:
            named["Cookie"] = self.cookie
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request(method, path, body, named)
            got = connection.getresponse()
            page = Page(got.status, got.headers, got.read().decode("utf-8", "replace"))
        finally:
            connection.close()
        if page.headers["Set-Cookie"]:
            self.cookie = page.headers["Set-Cookie"].partition(";")[0]
        return page


class OpenShop(NamedTuple):
    """A shop that serves."""

    url: str
    port: int
    server: ShopServer

    def visitor(self) -> Visitor:
        """Somebody new."""
        return Visitor(self.port)


@contextmanager
def open_shop(
    api_url: str, catalogue: Path = SHIPPED, timeout_s: float = TIMEOUT_S, key: str | None = None
) -> Iterator[OpenShop]:
    """One at a free port, until the block ends."""
    known, api = load_catalogue(catalogue), Api(api_url, key)
    advisor, events = Advisor(api, known, timeout_s), Events(api)
    with ShopServer(("127.0.0.1", 0), Shop(known, advisor, events)) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield OpenShop(f"http://127.0.0.1:{server.server_port}", server.server_port, server)
        finally:
            server.shutdown()
            thread.join()
            advisor.close()
            events.close()
