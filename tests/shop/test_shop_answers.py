"""The example shop without a browser: what it answers, asks and sends, over a stand-in for the API."""

import contextlib
import json
import re
import socket
import time
from html.parser import HTMLParser
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote

import pytest

from examples.shop.catalogue import load_catalogue
from examples.shop.visits import Visits
from tests.cluster.waiting import until
from tests.shop.open_shop import OpenShop, Visitor, open_shop
from tests.shop.standin_api import StandInApi, answer

KEY = "sgm_only-for-the-server"
HOSTILE = '<script>alert(1)</script>" onclick="alert(2)\'><img src=x onerror=alert(3)>'
CARD = re.compile(r'<li class="card" data-item="([^"]+)">(.*?)</li>', re.DOTALL)


def recommended(text: str) -> list[str]:
    """Items of the recommendations of a page."""
    return [item_id for item_id, _ in cards(text)]


def cards(text: str) -> list[tuple[str, str]]:
    """(item, its HTML) of the recommendations of a page."""
    section = text.partition('id="recommendations"')[2].partition("</section>")[0]
    return CARD.findall(section)


def in_cart(visitor: Visitor) -> list[str]:
    """What stands on the page of the cart, which says so if it is nothing."""
    text = visitor.get("/cart").text
    found = re.findall(
        r'<li class="line" data-item="([^"]+)"', text.partition('class="lines"')[2].partition("</ul>")[0]
    )
    assert ('id="cart-full" hidden' in text) == (not found)
    assert ('id="cart-empty" hidden' in text) == bool(found)
    return found


class TestRecommendations:
    def test_they_are_asked_for_with_what_the_visitor_does(self, shop: OpenShop, api: StandInApi) -> None:
        """Page, product, cart, and what was viewed, newest first."""
        visitor = shop.visitor()
        visitor.get("/p/teapot")
        visitor.get("/p/candle")
        visitor.post("/cart/add", {"product_id": "apron"})
        visitor.get("/p/whisk")
        path, query, _ = api.questions[-1]
        assert re.fullmatch(r"/v1/recommendations/v-[0-9a-f]{20}", path)
        assert query == {
            "limit": ["4"],
            "page": ["product"],
            "product_id": ["whisk"],
            "cart": ["apron"],
            "viewed": ["whisk", "candle", "teapot"],
        }

    def test_the_page_says_why(self, shop: OpenShop, api: StandInApi) -> None:
        """With titles instead of ids; a kind that is not known says nothing."""
        told = answer("candle", "ink", "seeds", "apron")
        kinds = [("viewed", "teapot"), ("cart", "no-such-thing"), ("category", "garden"), ("of-the-future", None)]
        for item, (kind, about) in zip(told["items"], kinds, strict=True):
            item["reasons"] = [{"kind": kind, "about": about, "text": "for people"}]
        api.recommend = lambda query: (200, told)
        said = [re.findall(r'"reason">(.*?)<', card) for _, card in cards(shop.visitor().get("/").text)]
        assert said == [["Because you viewed Stoneware teapot"], [""], ["Popular in garden"], [""]]

    def test_what_is_new_is_marked(self, shop: OpenShop, api: StandInApi) -> None:
        """New since this visitor's last answer; at the first one nothing is."""
        visitor = shop.visitor()
        pages = []
        for items in (("candle", "ink"), ("ink", "seeds"), ("ink", "seeds")):
            api.recommend = lambda query, items=items: (200, answer(*items))  # type: ignore[misc]
            pages.append(visitor.get("/").text)
        marked = [[item for item, card in cards(page) if '<span class="new" >' in card] for page in pages]
        assert marked == [[], ["seeds"], []]
        assert "1 new since the last time" in pages[1]

    def test_what_the_shop_does_not_have_is_left_out(self, shop: OpenShop, api: StandInApi) -> None:
        """And positions stay those of the answer."""
        api.recommend = lambda query: (200, answer("of-another-shop", "candle", request_id="r1"))
        visitor = shop.visitor()
        assert recommended(visitor.get("/").text) == ["candle"]
        visitor.get("/r/r1/candle")
        assert api.until_sent("recommendation_clicked")[0]["position"] == 2

    @pytest.mark.parametrize(
        "told",
        [
            (500, {}), (401, {}), (200, None), (200, []), (200, {}), (200, {"request_id": "r", "items": None}),
            (200, answer()), (200, answer("of-another-shop")), (200, {"request_id": "r", "items": [{}]}),
            (200, {"request_id": "r", "items": [{"item_id": ["ink"], "reasons": []}]}),
        ],
    )  # fmt: skip
    def test_without_an_answer_the_shop_chooses(self, shop: OpenShop, api: StandInApi, told: tuple[int, Any]) -> None:
        """Of the same category first, not what is looked at or in the cart; nobody is told that it was shown."""
        api.recommend = lambda query: told
        visitor = shop.visitor()
        visitor.post("/cart/add", {"product_id": "assam"})
        page = visitor.get("/p/teapot")
        assert page.status == 200
        assert recommended(page.text)[:2] == ["tea-bowls", "tea-strainer"]
        assert len(recommended(page.text)) == 4
        assert "Our favourites" in page.text
        assert "/seen/" not in page.text
        assert "/r/" not in page.text

    def test_a_slow_api_keeps_nobody_waiting(self, api: StandInApi) -> None:
        """Not one visitor, and not more of them at once than it could answer."""
        api.delay_s = 3.0
        with open_shop(api.url, timeout_s=0.2) as shop:
            began = time.monotonic()
            assert "Our favourites" in shop.visitor().get("/").text
            assert time.monotonic() - began < 1.5

    def test_nor_does_one_that_speaks_slowly(self) -> None:
        """A letter now and then, so that each step is quick, and all of it takes for ever."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            Thread(target=_drip, args=(listener,), daemon=True).start()
            with open_shop(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout_s=0.3) as shop:
                began = time.monotonic()
                assert "Our favourites" in shop.visitor().get("/").text
                assert time.monotonic() - began < 1.5

    def test_no_api_at_all(self, api: StandInApi) -> None:
        """The page comes."""
        with open_shop("http://127.0.0.1:9") as shop:
            assert "Our favourites" in shop.visitor().get("/").text


def _drip(listener: socket.socket) -> None:
    """Answer the first question for three seconds."""
    with contextlib.suppress(OSError), listener.accept()[0] as connection:
        for letter in b"HTTP/1.1 200 OK\r\nx-slow: " + b"a" * 40:
            connection.sendall(bytes([letter]))
            time.sleep(0.05)


class TestClicks:
    def test_a_click_passes_through_the_shop(self, shop: OpenShop, api: StandInApi) -> None:
        """It is told with the request, the place and the variant, and goes on to the product."""
        api.recommend = lambda query: (200, answer("ink", "candle", request_id="r7", variant="b"))
        visitor = shop.visitor()
        link = re.findall(r'href="(/r/[^"]+)"', visitor.get("/").text)[1]
        went = visitor.get(link)
        assert (link, went.status, went.location) == ("/r/r7/candle", 303, "/p/candle")
        visitor.get(link)
        first, second = api.until_sent("recommendation_clicked", 2)
        told = {name: first[name] for name in ("product_id", "request_id", "position", "variant")}
        assert told == {"product_id": "candle", "request_id": "r7", "position": 2, "variant": "b"}
        assert first["event_id"] == second["event_id"]  # so it counts once
        assert first["anonymous_id"] in api.questions[0][0]

    def test_what_goes_into_the_cart_from_there_was_clicked_too(self, shop: OpenShop, api: StandInApi) -> None:
        """Both are told, in this order."""
        visitor = shop.visitor()
        visitor.get("/")
        visitor.post("/cart/add", {"product_id": "candle", "request_id": "00000000000000aa"})
        api.until_sent("product_added")
        assert [event["type"] for event in api.events] == ["recommendation_clicked", "product_added"]
        assert "variant" not in api.events[0]

    @pytest.mark.parametrize("path", ["/r/unknown/candle", "/r/00000000000000aa/ink"])
    def test_a_click_on_nothing_that_was_shown_is_none(self, shop: OpenShop, api: StandInApi, path: str) -> None:
        """The visitor gets to the product all the same."""
        visitor = shop.visitor()
        visitor.get("/")
        assert visitor.get(path).status == 303
        assert shop.visitor().get("/r/00000000000000aa/candle").status == 303  # shown to somebody else
        visitor.get("/p/apron")
        api.until_sent("product_viewed")
        assert api.of_type("recommendation_clicked") == []

    @pytest.mark.parametrize("path", ["/r/x/https:%2f%2fevil.example", "/r/x//evil.example", "/r/x/"])
    def test_it_leads_nowhere_else(self, shop: OpenShop, path: str) -> None:
        """Only to products of this shop."""
        assert (shop.visitor().get(path).status, shop.visitor().get(path).location) == (404, None)

    def test_a_browser_that_looks_ahead_is_nobody(self, shop: OpenShop, api: StandInApi) -> None:
        """Pages that it fetches in advance are not views, and links not clicks."""
        visitor = shop.visitor()
        visitor.get("/")
        visitor.get("/p/ink", Sec_Purpose="prefetch;prerender")
        visitor.get("/r/00000000000000aa/candle", Sec_Purpose="prefetch")
        visitor.get("/p/apron")
        api.until_sent("product_viewed")
        assert [event["product_id"] for event in api.events] == ["apron"]


class TestShown:
    def test_without_javascript_a_picture_tells(self, shop: OpenShop, api: StandInApi) -> None:
        """Which the browser fetches only then, for all items of the answer."""
        visitor = shop.visitor()
        pixel = re.search(r'<noscript><img class="pixel" src="([^"]+)"', visitor.get("/").text)
        assert pixel
        assert visitor.get(pixel[1]).headers["Content-Type"] == "image/gif"
        shown = api.until_sent("recommendation_shown", 2)
        assert [(event["product_id"], event["position"]) for event in shown] == [("teapot", 1), ("candle", 2)]

    def test_with_it_the_script_does(self, shop: OpenShop, api: StandInApi) -> None:
        """Of what this visitor got, each item once, however often it is reported."""
        visitor = shop.visitor()
        visitor.get("/")
        ours = {"request_id": "00000000000000aa", "product_id": "candle"}
        foreign = {"request_id": "00000000000000bb", "product_id": "candle"}
        report = json.dumps({"shown": [ours, foreign, ours | {"product_id": "ink"}]}).encode()
        assert visitor.post("/shown", report, Content_Type="application/json").status == 204
        assert shop.visitor().post("/shown", report, Content_Type="application/json").status == 204
        visitor.get("/p/apron")
        api.until_sent("product_viewed")
        (event,) = api.of_type("recommendation_shown")
        assert (event["product_id"], event["position"], event["request_id"]) == ("candle", 2, "00000000000000aa")

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"shown": 1}', b'{"shown": [1]}', b"[" * 9_000])
    def test_a_report_that_is_none(self, shop: OpenShop, body: bytes) -> None:
        """Is refused."""
        assert shop.visitor().post("/shown", body, Content_Type="application/json").status == 400


class TestCart:
    def test_from_a_view_to_an_order(self, shop: OpenShop, api: StandInApi) -> None:
        """By links and forms alone; every step is told, and everything as the job reads it."""
        visitor = shop.visitor()
        visitor.get("/p/teapot")
        for product_id in ("teapot", "teapot", "apron", "candle"):
            assert visitor.post("/cart/add", {"product_id": product_id}).location == "/cart"
        assert visitor.post("/cart/remove", {"product_id": "apron"}).location == "/cart"
        assert "$87.00" in visitor.get("/cart").text
        assert visitor.post("/order").location == "/thanks"
        assert in_cart(visitor) == []
        (order,) = api.until_sent("order_completed")
        kinds = [event["type"] for event in api.events]
        assert kinds == ["product_viewed", *["product_added"] * 4, "product_removed", "order_completed"]
        assert order["products"] == [
            {"product_id": "teapot", "quantity": 2, "price": "38.00", "category": "tea"},
            {"product_id": "candle", "quantity": 1, "price": "11.00", "category": "evening"},
        ]
        assert (order["total"], order["currency"]) == ("87.00", "USD")
        assert order["order_id"] in visitor.get("/thanks").text
        assert len({event["anonymous_id"] for event in api.events}) == 1

    def test_an_empty_one_cannot_be_bought(self, shop: OpenShop) -> None:
        """Nor a second time by going back."""
        assert shop.visitor().post("/order").location == "/cart"
        assert shop.visitor().get("/thanks").location == "/"

    def test_visitors_do_not_share_it(self, shop: OpenShop) -> None:
        """Each has a cookie."""
        one, other = shop.visitor(), shop.visitor()
        one.post("/cart/add", {"product_id": "teapot"})
        assert (in_cart(one), in_cart(other)) == (["teapot"], [])
        assert one.cookie != other.cookie

    def test_forgetting(self, shop: OpenShop, api: StandInApi) -> None:
        """Segmill is told to forget the visitor, and the next page is somebody else's."""
        visitor = shop.visitor()
        visitor.post("/cart/add", {"product_id": "teapot"})
        before = visitor.cookie
        visitor.post("/forget")
        assert in_cart(visitor) == []
        assert visitor.cookie != before
        visitor.cookie = before  # though somebody may have kept it
        assert in_cart(visitor) == []
        (erased,) = api.until_sent("erase")
        assert erased["anonymous_id"] == api.of_type("product_added")[0]["anonymous_id"]


class TestScriptAnswers:
    def test_what_the_script_gets(self, shop: OpenShop, api: StandInApi) -> None:
        """The cart, recommendations for the page that it is on, and what to say."""
        visitor = shop.visitor()
        visitor.get("/p/ink")
        api.recommend = lambda query: (200, answer("candle", "seeds", request_id="r2"))
        fields = {"product_id": "apron", "page": "product", "looking_at": "ink"}
        told = json.loads(visitor.post("/cart/add", fields, Accept="application/json").text)
        assert told["said"] == "Linen apron is in your cart. Recommendations have changed: 1 new."
        assert (told["cart"]["count"], told["cart"]["total"]) == (1, "$34.00")
        items = told["recommendations"]["items"]
        assert [(item["item_id"], item["href"], item["new"]) for item in items] == [
            ("candle", "/r/r2/candle", False),
            ("seeds", "/r/r2/seeds", True),
        ]
        assert (api.questions[-1][1]["page"], api.questions[-1][1]["product_id"]) == (["product"], ["ink"])


class TestSafety:
    def test_the_key_stays_here(self, api: StandInApi) -> None:
        """It goes to the API, and into nothing that a browser gets."""
        with open_shop(api.url, key=KEY) as shop:
            visitor = shop.visitor()
            paths = ("/", "/p/teapot", "/cart", "/static/shop.js", "/recommendations", "/nothing")
            pages = [visitor.get(path) for path in paths]
        assert api.questions[0][2] == KEY
        assert all(KEY not in page.text + str(page.headers) for page in pages)

    @pytest.mark.parametrize(
        "headers",
        [
            {"Sec_Fetch_Site": "cross-site"},
            {"Sec_Fetch_Site": "same-site"},
            {"Sec_Fetch_Site": None},
            {"Sec_Fetch_Site": None, "Origin": "https://evil.example"},
            {"Sec_Fetch_Site": None, "Origin": "null"},
        ],
    )
    @pytest.mark.parametrize("path", ["/cart/add", "/cart/remove", "/order", "/shown", "/forget"])
    def test_pages_of_others_change_nothing(
        self, shop: OpenShop, api: StandInApi, path: str, headers: dict[str, str | None]
    ) -> None:
        """Though the browser may send the cookie."""
        visitor = shop.visitor()
        visitor.post("/cart/add", {"product_id": "teapot"})
        api.until_sent("product_added")
        assert visitor.post(path, {"product_id": "teapot"}, **headers).status == 403
        assert "× 1" in visitor.get("/cart").text
        assert [event["type"] for event in api.events] == ["product_added"]

    def test_an_older_browser_says_its_origin(self, shop: OpenShop) -> None:
        """That is enough."""
        own = {"Sec_Fetch_Site": None, "Origin": shop.url}
        assert shop.visitor().post("/cart/add", {"product_id": "teapot"}, **own).status == 303

    def test_nothing_that_is_named_is_run(self, api: StandInApi, tmp_path: Path) -> None:
        """Whatever products are called, everything is escaped, in elements and in attributes."""
        catalogue = tmp_path / "hostile.jsonl"
        row = {"item_id": HOSTILE, "category": HOSTILE, "title": HOSTILE, "price_cents": 100, "tags": [HOSTILE]}
        catalogue.write_text(json.dumps(row))
        told = answer(HOSTILE, request_id=HOSTILE)
        told["items"][0]["reasons"] = [{"kind": "category", "about": HOSTILE, "text": HOSTILE}]
        with open_shop(api.url) as shop:
            ordinary = Elements("".join(_pages(shop, "apron")))
        api.recommend = lambda query: (200, told)
        with open_shop(api.url, catalogue) as shop:
            pages = _pages(shop, HOSTILE)
            missing = shop.visitor().get("/%3Cscript%3E")
        assert missing.status == 404
        for page in (*pages, missing.text):
            assert Elements(page).found <= ordinary.found
        assert all(HOSTILE in Elements(page).texts for page in pages)

    def test_what_every_answer_forbids(self, shop: OpenShop) -> None:
        """Scripts, styles and pictures of others, frames, and HTML made of text."""
        visitor = shop.visitor()
        for path in ("/", "/static/shop.css", "/nothing"):
            policy = visitor.get(path).headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "require-trusted-types-for 'script'" in policy
        assert "HttpOnly; SameSite=Lax" in shop.visitor().get("/").headers["Set-Cookie"]
        text = visitor.get("/").text
        assert re.findall(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", text) == []

    def test_files_of_others(self, shop: OpenShop) -> None:
        """Only those of the folder, by their names."""
        for path in (
            "/static/../server.py",
            "/static/%2e%2e%2fserver.py",
            "/static/",
            "/static/..%2f..%2f..%2fREADME.md",
        ):
            assert shop.visitor().get(path).status == 404

    @pytest.mark.parametrize(
        ("headers", "status"),
        [({"Content_Length": "99999"}, 413), ({"Content_Length": "-1"}, 411), ({"Content_Length": "x"}, 411)],
    )
    def test_bodies_that_are_not_read(self, shop: OpenShop, headers: dict[str, str], status: int) -> None:
        """Too long, or of no length."""
        assert shop.visitor().post("/cart/add", b"product_id=teapot", **headers).status == status

    def test_a_cookie_of_nobody(self, shop: OpenShop) -> None:
        """Is replaced; nothing of it is kept or sent on."""
        visitor = shop.visitor()
        for strange in ('visitor="; DROP', "visitor=../../etc", "visitor=" + "a" * 31, "visitor=" + "A" * 32):
            visitor.cookie = strange
            assert visitor.get("/").status == 200
            assert re.fullmatch(r"visitor=[0-9a-f]{32}", str(visitor.cookie))

    def test_visitors_are_forgotten_in_time(self) -> None:
        """So that nobody can fill the memory; those who came last are known."""
        visits = Visits(most=3)
        first = visits.of(None)
        tokens = [visits.of(None).token for _ in range(3)]
        assert visits.of(first.token) is not first  # so the first of the three is forgotten, too
        known = visits.of(tokens[1])
        visits.of(None)
        assert visits.of(tokens[1]) is known

    def test_what_was_recommended_is_forgotten_in_time(self, shop: OpenShop, api: StandInApi) -> None:
        """The newest twenty answers of a visitor are known."""
        visitor = shop.visitor()
        for number in range(21):
            api.recommend = lambda query, number=number: (200, answer("ink", request_id=f"r{number}"))  # type: ignore[misc]
            visitor.get("/")
        for number in (0, 1):
            visitor.get(f"/r/r{number}/ink")
        api.until_sent("recommendation_clicked")
        assert [event["request_id"] for event in api.of_type("recommendation_clicked")] == ["r1"]


def _pages(shop: OpenShop, item_id: str) -> list[str]:
    """All that name a product, and its picture."""
    visitor, name = shop.visitor(), quote(item_id, safe="")
    visitor.post("/cart/add", {"product_id": item_id})
    pages = [visitor.get(path) for path in ("/", f"/p/{name}", "/cart")]
    assert [page.status for page in pages] == [200] * 3
    assert visitor.get(f"/pictures/{name}.svg").text.count("<svg") == 1
    return [page.text for page in pages]


class Elements(HTMLParser):
    """What a browser finds in a page: elements with their attributes, without values, and the texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[tuple[str, ...]] = set()
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add((tag, *(name for name, _ in attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())


class TestSending:
    def test_what_the_api_cannot_take_is_sent_again(self, shop: OpenShop, api: StandInApi) -> None:
        """In order, and under the same ids; no page waits for it."""
        refusals = iter([503, 503, 429])
        api.take = lambda: next(refusals, 200)
        visitor = shop.visitor()
        began = time.monotonic()
        for product_id in ("teapot", "candle", "ink"):
            visitor.get(f"/p/{product_id}")
        assert time.monotonic() - began < 2
        seen = api.until_sent("product_viewed", 3)
        assert [event["product_id"] for event in seen] == ["teapot", "candle", "ink"]

    def test_what_it_refuses_is_dropped(self, shop: OpenShop, api: StandInApi, capfd: Any) -> None:
        """And said, so that what comes behind is not held up."""
        refusals = iter([403])
        api.take = lambda: next(refusals, 200)
        visitor = shop.visitor()
        visitor.get("/p/teapot")
        said: list[str] = []
        until(lambda: said.append(capfd.readouterr().err) or "1 events dropped" in "".join(said), "it is said", 10)
        visitor.get("/p/ink")
        assert [event["product_id"] for event in api.until_sent("product_viewed")] == ["ink"]


class TestCatalogue:
    def test_segmill_reads_it_too(self) -> None:
        """All of it, and the same."""
        from examples.shop.catalogue import SHIPPED
        from serving.catalog.reading import Reading, read_catalog

        reading = Reading()
        items = {item.item_id: item for item in read_catalog(SHIPPED, reading)}
        assert (reading.faults, reading.repeated, dict(reading.ignored)) == ([], 0, {})
        ours = load_catalogue()
        assert {(one.title, one.price_cents) for one in ours.values()} == {
            (item.title, item.price_cents) for item in items.values()
        }
        assert list(ours) == list(items)

    def test_a_line_that_is_no_product(self, tmp_path: Path) -> None:
        """Is named."""
        path = tmp_path / "c.jsonl"
        path.write_text('\n{"item_id": "x"}\n')
        with pytest.raises(ValueError, match="line 2"):
            load_catalogue(path)
