"""The shop's web server: plain HTTP for one machine, from the standard library. In earnest, put a proxy in front."""

import json
import re
import secrets
import sys
from collections.abc import Callable
from email.message import Message
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from examples.shop.advice import Advice, Advisor, Situation
from examples.shop.catalogue import Catalogue, Product
from examples.shop.events import Events, of_erasure, of_order, of_place, of_product
from examples.shop.html_templates import Html
from examples.shop.pages import Pages, advice_data, page_of
from examples.shop.pictures import picture
from examples.shop.visits import Visit, Visits

COOKIE = "visitor"
_YEAR_S = 365 * 86_400
_MOST_BODY_BYTES = 16_384
_STATIC = Path(__file__).with_name("static")
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_PIXEL = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")
"""A transparent GIF."""
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_PAGES = ("home", "product", "cart", "thanks")


class Reply(NamedTuple):
    """What is answered."""

    status: int = 200
    body: bytes = b""
    media_type: str = "text/plain; charset=utf-8"
    location: str | None = None
    forgets: bool = False
    """The browser is to forget who it was."""


class RefusedError(Exception):
    """A request that is not carried out; the page says why."""

    def __init__(self, status: int, heading: str, text: str) -> None:
        super().__init__(heading)
        self.status, self.heading, self.text = status, heading, text


class Request(NamedTuple):
    """What a visitor asks."""

    visit: Visit
    path: str
    """As it was sent, still percent-encoded."""
    query: dict[str, list[str]]
    headers: Message
    body: bytes

    def field(self, name: str) -> str:
        """Of the form or the query, the first one; empty if there is none."""
        return (self.query.get(name) or [""])[0]

    @property
    def wants_json(self) -> bool:
        """The script asks, not the browser."""
        return "application/json" in (self.headers.get("Accept") or "")

    @property
    def is_looked_at(self) -> bool:
        """False: the browser fetches it in advance, and nobody may ever see it."""
        return "prefetch" not in (self.headers.get("Sec-Purpose") or self.headers.get("Purpose") or "")


class Shop:
    """What happens at each address. Knows no sockets."""

    def __init__(self, catalogue: Catalogue, advisor: Advisor, events: Events) -> None:
        self._catalogue, self._advisor, self._events = catalogue, advisor, events
        self._pages = Pages(catalogue)
        self.visits = Visits()

    def get(self, request: Request) -> Reply:
        """GET.

        Raises:
            RefusedError: there is nothing.
        """
        parts = [unquote(part) for part in request.path.strip("/").split("/")]
        match parts:
            case [""]:
                return _html(self._pages.home(request.visit, self._advise(request, Situation("home"))))
            case ["p", item_id]:
                return self._product(request, self._known(item_id))
            case ["cart"]:
                return _html(self._pages.cart(request.visit, self._advise(request, Situation("cart"))))
            case ["thanks"] if request.visit.last_order is not None:
                return _html(self._pages.thanks(request.visit, self._advise(request, Situation("thanks"))))
            case ["thanks"]:
                return _see("/")
            case ["r", request_id, item_id]:
                return self._follow(request, request_id, self._known(item_id))
            case ["seen", name] if name.endswith(".gif"):
                self._shown(request.visit, request.visit.places(name.removesuffix(".gif")))
                return Reply(200, _PIXEL, "image/gif")
            case ["recommendations"]:
                return self._told(request, "")
            case ["pictures", name] if name.endswith(".svg"):
                return Reply(200, picture(self._known(name.removesuffix(".svg"))).encode(), _TYPES[".svg"])
            case ["static", name] if name in _FILES:
                return Reply(200, _FILES[name], _TYPES[Path(name).suffix])
        raise _nothing()

    def post(self, request: Request) -> Reply:
        """POST, from a page of this shop.

        Raises:
            RefusedError: there is nothing, or it cannot be done.
        """
        match request.path:
            case "/cart/add":
                return self._add(request, self._known(request.field("product_id")))
            case "/cart/remove":
                return self._remove(request, self._known(request.field("product_id")))
            case "/order":
                return self._order(request.visit)
            case "/shown":
                return self._report(request)
            case "/forget":
                self._events.put(of_erasure(request.visit))
                self.visits.forget(request.visit)
                return _see("/")._replace(forgets=True)
        raise _nothing()

    def refusal(self, visit: Visit, refused: RefusedError) -> Reply:
        """The page that says so."""
        return _html(self._pages.problem(visit, refused.heading, refused.text), refused.status)

    def _known(self, item_id: str) -> Product:
        if item_id not in self._catalogue:
            raise _nothing()
        return self._catalogue[item_id]

    def _advise(self, request: Request, situation: Situation) -> Advice:
        return self._advisor.advise(request.visit, situation)

    def _product(self, request: Request, product: Product) -> Reply:
        visit = request.visit
        if request.is_looked_at:
            visit.look_at(product)
            self._events.put(of_product("product_viewed", visit, product))
        advice = self._advise(request, Situation("product", product))
        return _html(self._pages.product(visit, product, advice))

    def _follow(self, request: Request, request_id: str, product: Product) -> Reply:
        """The way of a click on a recommendation: it is told, and goes on to the product."""
        if request.is_looked_at:
            self._clicked(request.visit, request_id, product)
        return _see(page_of(product))

    def _clicked(self, visit: Visit, request_id: str, product: Product) -> None:
        places = visit.places(request_id)
        chosen = [place for place in places if place.item_id == product.item_id]
        self._events.put(*(of_place("recommendation_clicked", visit, place) for place in chosen))

    def _shown(self, visit: Visit, places: Any) -> None:
        self._events.put(*(of_place("recommendation_shown", visit, place) for place in places))

    def _report(self, request: Request) -> Reply:
        """What the script has seen on the screen: `{"shown": [{"request_id": …, "product_id": …}]}`."""
        try:
            seen = {(str(one["request_id"]), str(one["product_id"])) for one in json.loads(request.body)["shown"]}
        except (ValueError, KeyError, TypeError, RecursionError):
            raise RefusedError(400, "Not understood", "That is no report of what was shown.") from None
        visit = request.visit
        known = [place for request_id in sorted({one for one, _ in seen}) for place in visit.places(request_id)]
        self._shown(visit, [place for place in known if (place.request_id, place.item_id) in seen])
        return Reply(204)

    def _add(self, request: Request, product: Product) -> Reply:
        visit = request.visit
        if request_id := request.field("request_id"):
            self._clicked(visit, request_id, product)
        if not visit.add(product):
            return self._changed(request, f"There are as many of {product.title} in your cart as there may be.")
        self._events.put(of_product("product_added", visit, product) | {"quantity": 1})
        return self._changed(request, f"{product.title} is in your cart.")

    def _remove(self, request: Request, product: Product) -> Reply:
        if request.visit.remove(product):
            self._events.put(of_product("product_removed", request.visit, product))
        return self._changed(request, f"{product.title} is out of your cart.")

    def _changed(self, request: Request, said: str) -> Reply:
        """The cart is another one: the script hears of it, and without a script the cart's page comes."""
        return self._told(request, said) if request.wants_json else _see("/cart")

    def _order(self, visit: Visit) -> Reply:
        bought = {self._catalogue[item_id]: units for item_id, units in visit.empty().items()}
        if not bought:
            return _see("/cart")
        visit.last_order = f"o-{secrets.token_hex(5)}"
        self._events.put(of_order(visit, visit.last_order, bought))
        return _see("/thanks")

    def _told(self, request: Request, said: str) -> Reply:
        """What the script puts into the page where it is."""
        page, item_id = request.field("page"), request.field("looking_at")
        situation = Situation(page if page in _PAGES else "home", self._catalogue.get(item_id))
        advice = self._advise(request, situation)
        changed = f"Recommendations have changed: {advice.new} new." if advice.new else ""
        told = {
            "said": f"{said} {changed}".strip(),
            "cart": self._pages.cart_data(request.visit),
            "recommendations": advice_data(advice),
        }
        return Reply(200, json.dumps(told).encode(), "application/json")


_FILES = {path.name: path.read_bytes() for path in sorted(_STATIC.iterdir())}


def _html(page: Html, status: int = 200) -> Reply:
    return Reply(status, page.encode(), "text/html; charset=utf-8")


def _see(path: str) -> Reply:
    return Reply(303, location=path)


def _nothing() -> RefusedError:
    return RefusedError(404, "Nothing here", "This shop has no such page.")


class ShopServer(ThreadingHTTPServer):
    """Listens, one thread for each connection.

    Args:
        address: host and port; port 0 takes a free one.
        shop: what to serve.
        https: visitors come by https, through a proxy in front, so that cookies are for that alone.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], shop: Shop, https: bool = False) -> None:
        self.shop, self.https = shop, https
        super().__init__(address, Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing but the kind of error: what it says may name a visitor. Browsers that go away are none."""
        error = sys.exception()
        if not isinstance(error, ConnectionError | TimeoutError):
            print(f"fault: {type(error).__name__}", file=sys.stderr, flush=True)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: ShopServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "shop", ""
    timeout = 30.0
    wbufsize = -1  # an answer is sent as a whole

    def do_GET(self) -> None:
        """A page, or a part of one."""
        self._answer(self.server.shop.get)

    def do_POST(self) -> None:
        """A change."""
        self._answer(self._post)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        """Nobody's visits are logged."""

    def _post(self, request: Request) -> Reply:
        if not self._is_from_here():
            raise RefusedError(
                403, "Not from here", "A page of another site sent this, or a browser that does not say."
            )
        return self.server.shop.post(request)

    def _answer(self, act: Callable[[Request], Reply]) -> None:
        token = self._token()
        visit = self.server.shop.visits.of(token)
        try:
            target = urlsplit(self.path)
            body = self._body()
            query = target.query
            if (self.headers.get("Content-Type") or "").startswith("application/x-www-form-urlencoded"):
                query = body.decode("utf-8", "replace")
            fields = parse_qs(query, keep_blank_values=True, max_num_fields=50)
            reply = act(Request(visit, target.path, fields, self.headers, body))
        except RefusedError as refused:
            reply = self.server.shop.refusal(visit, refused)
        except ValueError:
            reply = self.server.shop.refusal(
                visit, RefusedError(400, "Not understood", "The address or form is no such.")
            )
        self._send(reply, visit, is_new=visit.token != token)

    def _send(self, reply: Reply, visit: Visit, *, is_new: bool) -> None:
        self.send_response(reply.status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        is_a_page = reply.media_type.startswith("text/html") or reply.status == 303
        self.send_header("Cache-Control", "no-store" if is_a_page else "no-cache")
        if (is_new and is_a_page) or reply.forgets:
            value, age_s = ("", 0) if reply.forgets else (visit.token, _YEAR_S)
            secure = "; Secure" if self.server.https else ""
            cookie = f"{COOKIE}={value}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Lax{secure}"
            self.send_header("Set-Cookie", cookie)
        if reply.location is not None:
            self.send_header("Location", reply.location)
        if reply.status != 204:
            self.send_header("Content-Type", reply.media_type)
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def _token(self) -> str | None:
        try:
            found = SimpleCookie(self.headers.get("Cookie") or "").get(COOKIE)
        except CookieError:
            return None
        return None if found is None else found.value

    def _body(self) -> bytes:
        """Of a POST; empty for others.

        Raises:
            RefusedError: it is too long, or does not say how long it is.
        """
        if self.command != "POST":
            return b""
        length = self.headers.get("Content-Length") or ""
        if not re.fullmatch(r"[0-9]{1,9}", length) or self.headers.get("Transfer-Encoding"):
            self.close_connection = True
            raise RefusedError(411, "How long?", "A request that does not say how long it is.")
        if int(length) > _MOST_BODY_BYTES:
            self.close_connection = True
            raise RefusedError(413, "Too long", "That is longer than anything this shop takes.")
        return self.rfile.read(int(length))

    def _is_from_here(self) -> bool:
        """A page of this shop sent it: the browser says so itself, by Sec-Fetch-Site, or older ones by Origin."""
        site = self.headers.get("Sec-Fetch-Site")
        if site is not None:
            return site == "same-origin"
        origin = urlsplit(self.headers.get("Origin") or "")
        return bool(origin.netloc) and origin.netloc == self.headers.get("Host")
