"""The example shop in headless Chromium, with and without JavaScript, over the real API and what a real job learned.

Between shop and API stands what records events, and passes questions on; tests/cluster/test_shop_live.py has Kafka and
the live job there.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from examples.shop.demo import api_command, learned, listening, shop_command
from tests.shop.browsers import Browser, browser
from tests.shop.open_shop import open_shop
from tests.shop.standin_api import StandInApi, answer, standing_in

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror='window.taken=1'><script>window.taken=1</script>"
ITEMS = "#recommendations .card"
PAGES = ("/", "/p/teapot", "/cart", "/nothing")


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandInApi]:
    """`segmill serve` over what `segmill run` learned, and what records events."""
    with (
        learned(tmp_path_factory.mktemp("shop")) as redis_url,
        listening(*api_command(redis_url)) as url,
        standing_in(url) as standin,
    ):
        yield standin


@pytest.fixture(scope="module")
def shop_url(api: StandInApi) -> Iterator[str]:
    """The shop, as its command starts it; time enough for a busy machine."""
    with listening(*shop_command("--port", "0", "--api", api.url, "--timeout-ms", "10000")) as url:
        yield url


@pytest.fixture(scope="module")
def with_javascript() -> Iterator[Browser]:
    with browser(javascript=True) as opened:
        yield opened


@pytest.fixture(scope="module")
def without_javascript() -> Iterator[Browser]:
    with browser(javascript=False) as opened:
        yield opened


@pytest.fixture
def scripted(with_javascript: Browser) -> Iterator[Browser]:
    """A visitor whose browser runs the script; nothing may stand in the console in the end."""
    yield from _visitor(with_javascript)


@pytest.fixture(params=["with_javascript", "without_javascript"])
def either(request: pytest.FixtureRequest) -> Iterator[Browser]:
    """One of each."""
    yield from _visitor(request.getfixturevalue(request.param))


def _visitor(opened: Browser) -> Iterator[Browser]:
    opened.anew()
    yield opened
    assert opened.complaints() == []


def items(page: Browser) -> list[str]:
    """What is recommended, in order; of one moment, as the script may be at work."""
    found: Any = page.ask(f"[...document.querySelectorAll('{ITEMS}')].map((card) => card.dataset.item)")
    return list(found)


def texts(page: Browser, selector: str) -> list[str]:
    """What is to be read there, of one moment."""
    elements = f'[...document.querySelectorAll("{selector}")]'
    found: Any = page.ask(f"{elements}.filter((one) => one.checkVisibility()).map((one) => one.innerText)")
    return [text for text in found if text]


class TestBrowsers:
    def test_one_runs_scripts_and_the_other_does_not(
        self, with_javascript: Browser, without_javascript: Browser, shop_url: str
    ) -> None:
        """Or all of what follows would say nothing."""
        for page, runs in ((with_javascript, True), (without_javascript, False)):
            page.anew()
            page.open(shop_url)
            assert page.ask("typeof watchCards") == ("function" if runs else "undefined")


class TestRecommending:
    def test_what_is_looked_at_changes_what_is_recommended(self, either: Browser, shop_url: str) -> None:
        """By links alone: a product, what goes with it and why, and other things at home than before."""
        either.open(shop_url)
        first = items(either)
        assert len(first) == 4
        assert set(texts(either, f"{ITEMS} .reason")) == {"Popular now"}
        either.follow("a[href='/p/fountain-pen']")
        assert {"ink", "notebook"} <= set(items(either))
        assert "Because you viewed Fountain pen" in texts(either, f"{ITEMS} .reason")
        either.follow(".brand")
        now = items(either)
        assert "fountain-pen" not in now
        assert len(set(now) - set(first)) >= 2

    def test_what_is_new_can_be_seen(self, either: Browser, shop_url: str) -> None:
        """A mark on each, and their number; nothing at the first page."""
        either.open(shop_url)
        before = set(items(either))
        assert texts(either, f"{ITEMS} .new") == texts(either, "#changed") == []
        either.follow("a[href='/p/watering-can']")
        new = set(items(either)) - before
        marked = [card for card in either.all(ITEMS) if card.find_element("class name", "new").is_displayed()]
        assert {card.get_attribute("data-item") for card in marked} == new != set()
        assert texts(either, "#changed") == [f"{len(new)} new since the last time"]

    def test_a_click_is_told(self, either: Browser, shop_url: str, api: StandInApi) -> None:
        """With request, place and product, before the view; and the view changes what comes next."""
        either.open(shop_url)
        request_id = either.one("#recommendations").get_attribute("data-request-id")
        third = items(either)[2]
        either.follow(f"{ITEMS}:nth-child(3) .card-link")
        assert either.path == f"/p/{third}"
        assert third not in items(either)
        (viewed,) = api.until_sent("product_viewed", 1, either.visitor)
        (clicked,) = api.of_type("recommendation_clicked", either.visitor)
        assert (clicked["request_id"], clicked["position"], clicked["product_id"]) == (request_id, 3, third)
        assert viewed["product_id"] == third
        assert api.events.index(clicked) < api.events.index(viewed)


class TestWithoutJavaScript:
    @pytest.fixture
    def plain(self, without_javascript: Browser) -> Iterator[Browser]:
        yield from _visitor(without_javascript)

    def test_from_a_view_to_an_order(self, plain: Browser, shop_url: str, api: StandInApi) -> None:
        """By forms; on the cart's page is what goes with it."""
        plain.open(f"{shop_url}/p/teapot")
        plain.follow("button.main")
        assert plain.path == "/cart"
        assert plain.one("#cart-count").text == "1"
        assert any("in your cart" in reason for reason in texts(plain, f"{ITEMS} .reason"))
        recommended = items(plain)
        plain.follow(f"{ITEMS}:nth-child(1) button")
        assert recommended[0] not in items(plain)
        assert plain.one("#cart-count").text == "2"
        plain.follow(".line:nth-child(2) button")
        assert texts(plain, ".line-title") == ["Stoneware teapot"]
        plain.follow("button.main")
        assert plain.one("h1").text == "Thank you"
        (order,) = api.until_sent("order_completed", 1, plain.visitor)
        assert [line["product_id"] for line in order["products"]] == ["teapot"]
        assert {event["product_id"] for event in api.of_type("recommendation_clicked", plain.visitor)} == {
            recommended[0]
        }

    def test_what_was_shown(self, plain: Browser, shop_url: str, api: StandInApi) -> None:
        """Is told as soon as the page is there, by a picture."""
        plain.open(shop_url)
        shown = api.until_sent("recommendation_shown", 4, plain.visitor)
        assert [(event["product_id"], event["position"]) for event in shown] == [
            (item, place) for place, item in enumerate(items(plain), 1)
        ]


class TestWithJavaScript:
    def test_the_cart_changes_in_place(self, scripted: Browser, shop_url: str, api: StandInApi) -> None:
        """No page is loaded; the number, what is said, and what goes with it change."""
        scripted.open(f"{shop_url}/p/desk-lamp")
        scripted.ask("window.same = 1")
        before = items(scripted)
        taken = before[0]
        scripted.one(f"{ITEMS}:nth-child(1) button").click()
        scripted.until(lambda: taken not in items(scripted), "other recommendations")
        assert (scripted.ask("window.same"), scripted.path) == (1, "/p/desk-lamp")
        assert scripted.one("#cart-count").text == "1"
        said = scripted.one("[role=status][aria-live=polite]").text
        new = set(items(scripted)) - set(before)
        assert said.endswith(f"is in your cart. Recommendations have changed: {len(new)} new.")
        assert texts(scripted, f"{ITEMS} .new") == ["New"] * len(new) != []
        assert scripted.ask("document.activeElement.id") == "recommendations-heading"  # what had the focus is gone
        api.until_sent("product_added", 1, scripted.visitor)
        assert api.of_type("recommendation_clicked", scripted.visitor)[0]["product_id"] == taken

    def test_the_page_of_the_cart_too(self, scripted: Browser, shop_url: str) -> None:
        """Lines come and go, and the total; the focus stays where it was."""
        scripted.open(f"{shop_url}/cart")
        scripted.ask("window.same = 1")
        assert texts(scripted, "#cart-empty") != []
        taken = scripted.one(f"{ITEMS}:nth-child(2) .card-title").text
        scripted.one(f"{ITEMS}:nth-child(2) button").click()
        scripted.until(lambda: texts(scripted, ".line-title") == [taken], "the line")
        assert texts(scripted, "#cart-empty") == []
        scripted.until(lambda: any("in your cart" in reason for reason in texts(scripted, f"{ITEMS} .reason")), "why")
        scripted.one(f"{ITEMS}:nth-child(1) button").click()
        scripted.until(lambda: len(texts(scripted, ".line-title")) == 2, "the second line")
        scripted.one(".line:nth-child(1) button").click()
        scripted.until(lambda: len(texts(scripted, ".line-title")) == 1, "one line")
        assert scripted.ask("document.activeElement.matches('.line button')")
        scripted.one(".line:nth-child(1) button").click()
        scripted.until(lambda: texts(scripted, "#cart-empty") != [], "an empty cart")
        assert scripted.ask("window.same") == 1

    def test_many_clicks_at_once(self, scripted: Browser, shop_url: str) -> None:
        """Each counts, and what stands there in the end is the newest."""
        scripted.open(f"{shop_url}/p/seeds")
        scripted.ask("Array.from({length: 5}, () => document.querySelector('button.main').click())")
        scripted.until(lambda: scripted.one("#cart-count").text == "5", "all five")

    def test_the_newest_answer_is_the_one_that_stays(self, scripted: Browser) -> None:
        """Though the API takes longer for the one before."""
        answers = iter([(0.0, "ink"), (1.0, "seeds"), (0.0, "whisk")])

        def slower_at_first(query: dict[str, list[str]]) -> tuple[int, Any]:
            pause_s, item_id = next(answers)
            time.sleep(pause_s)
            return 200, answer(item_id)

        with standing_in() as slow_api, open_shop(slow_api.url, timeout_s=5) as shop:
            slow_api.recommend = slower_at_first
            scripted.open(f"{shop.url}/p/apron")
            scripted.ask("[1, 2].map(() => document.querySelector('button.main').click())")
            scripted.until(lambda: items(scripted) == ["whisk"], "the second answer")
            time.sleep(1.2)
            assert items(scripted) == ["whisk"]

    def test_only_what_was_on_the_screen_was_shown(self, scripted: Browser, shop_url: str, api: StandInApi) -> None:
        """For a second; what lies below it is told when it comes there, once."""
        scripted.anew(360, 400)
        scripted.open(f"{shop_url}/p/teapot")
        time.sleep(1.6)
        assert api.of_type("recommendation_shown", scripted.visitor) == []
        there = f"document.querySelector('{ITEMS}').scrollIntoView({{block: 'start', behavior: 'instant'}})"
        scripted.ask(there)
        tops: Any = scripted.ask(f"[...document.querySelectorAll('{ITEMS}')].map((one) => one.offsetTop)")
        visible = [item for item, top in zip(items(scripted), tops, strict=True) if top == tops[0]]
        assert len(visible) == 2  # the first row
        api.until_sent("recommendation_shown", 2, scripted.visitor)
        scripted.ask("window.scrollTo(0, 0)")
        scripted.ask(there)
        time.sleep(1.6)
        shown = api.of_type("recommendation_shown", scripted.visitor)
        request_id = scripted.one("#recommendations").get_attribute("data-request-id")
        assert [(one["product_id"], one["position"]) for one in shown] == [
            (item, place) for place, item in enumerate(visible, 1)
        ]
        assert {one["request_id"] for one in shown} == {request_id}

    def test_what_comes_back_is_asked_for_anew(self, scripted: Browser, shop_url: str) -> None:
        """A page that was left and is come back to shows what is so now, from whatever memory it comes."""
        scripted.open(shop_url)
        before = items(scripted)
        scripted.follow("a[href='/p/candle']")
        scripted.driver.back()
        scripted.until(lambda: items(scripted) != before and "candle" not in items(scripted), "other recommendations")


class TestTrouble:
    def test_without_the_api(self, either: Browser, tmp_path: Path) -> None:
        """The shop's own choice is there, and everything else works."""
        with open_shop("http://127.0.0.1:9") as shop:
            either.open(f"{shop.url}/p/teapot")
            assert either.one("#recommendations-heading").text == "Our favourites"
            assert len(items(either)) == 4
            either.one("button.main").click()
            either.until(lambda: either.one("#cart-count").text == "1", "the cart")

    def test_names_are_text(self, either: Browser, tmp_path: Path) -> None:
        """Whatever they are, on pages and in what the script puts there; and the policy would stop them, too."""
        catalogue = tmp_path / "hostile.jsonl"
        rows = [
            {"item_id": f"{HOSTILE}{number}", "category": HOSTILE, "title": HOSTILE, "price_cents": 1, "tags": []}
            for number in range(3)
        ]
        catalogue.write_text("\n".join(map(json.dumps, rows)))
        reasons = [{"kind": "category", "about": HOSTILE, "text": HOSTILE}]
        with standing_in() as hostile_api, open_shop(hostile_api.url, catalogue) as shop:
            told = answer(*(str(row["item_id"]) for row in rows), request_id=HOSTILE)
            told["items"] = [item | {"reasons": reasons} for item in told["items"]]
            hostile_api.recommend = lambda query: (200, told)
            either.open(shop.url)
            either.one(f"{ITEMS} button").click()
            either.until(lambda: either.one("#cart-count").text == "1", "the cart")
            either.open(f"{shop.url}/cart")
            assert texts(either, ".line-title") == [HOSTILE]
            assert texts(either, f"{ITEMS} .reason") == [f"Popular in {HOSTILE}"] * 3
            assert either.ask("window.taken") is None
            assert either.all("main script, img[src=x]") == []

    def test_the_policy_holds(self, scripted: Browser, shop_url: str) -> None:
        """HTML made of text, and scripts in a page, are refused by the browser itself."""
        scripted.open(shop_url)
        tried = "(() => { try { document.body.innerHTML = '<p>'; return 'done' } catch (e) { return e.name } })()"
        assert scripted.ask(tried) == "TypeError"
        policy = tried.replace("document.body.innerHTML = '<p>'", "trustedTypes.createPolicy('x', {})")
        assert scripted.ask(policy) == "TypeError"
        scripted.complaints()  # that it was refused


class TestLooks:
    @pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
    @pytest.mark.parametrize("width", [360, 1280])
    def test_every_page_fits_and_can_be_read(self, scripted: Browser, shop_url: str, width: int, dark: bool) -> None:
        """Nothing to scroll sideways, and contrasts as WCAG 2.2 wants them (AA: 4.5 to 1)."""
        scripted.anew(width, 800, dark=dark)
        for path in PAGES:
            scripted.open(shop_url + path)
            assert scripted.ask("document.documentElement.scrollWidth <= window.innerWidth"), path
            assert scripted.ask(CONTRASTS) == [], path
        scripted.complaints()  # that a page which is not there is not there

    def test_everything_has_a_name(self, scripted: Browser, shop_url: str) -> None:
        """As a screen reader hears it: links and buttons, each its own, and one heading of the first rank."""
        for path in PAGES:
            scripted.open(shop_url + path)
            nodes: Any = scripted.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
            named = [
                (node["role"]["value"], node["name"]["value"])
                for node in nodes
                if not node["ignored"] and node["role"]["value"] in ("link", "button", "image", "status", "navigation")
            ]
            assert [one for one in named if not one[1] and one[0] != "status"] == [], path
            buttons = [name for role, name in named if role == "button" and not name.startswith("Add ")]
            assert len(buttons) == len(set(buttons))
            assert len(scripted.all("h1")) == 1
            assert scripted.ask("document.documentElement.lang") == "en"
        scripted.complaints()

    def test_the_keyboard_gets_around(self, scripted: Browser, shop_url: str) -> None:
        """The first stop leads past the head of the page, and is to be seen there."""
        scripted.open(shop_url)
        scripted.one("body").send_keys("\ue004")  # Tab
        assert scripted.ask("document.activeElement.textContent") == "Skip to the content"
        assert scripted.ask("document.activeElement.getBoundingClientRect().left >= 0")


CONTRASTS = """(() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map((v) => v / 255)
      .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if (!/, 0\\)|transparent/.test(colour)) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const faults = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.checkVisibility() || e.closest('noscript, template')) continue;
    const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) faults.push(e.textContent.trim().slice(0, 30) + ' ' + ratio.toFixed(2));
  }
  return faults;
})()"""
"""Texts whose colour is too near to that of their ground."""
