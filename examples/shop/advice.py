"""What to recommend: asked of the API, for a limited time, and without it the shop's own choice."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from examples.shop.api import Api, ApiAnswer, ApiError
from examples.shop.catalogue import Catalogue, Product
from examples.shop.visits import Place, Visit

COUNT = 4
"""Items on a page."""
_MOST_QUESTIONS = 32
"""At the same time; while an API hangs, no more than these wait for it, and pages come all the same."""
_SENTENCES = {
    "viewed": "because you viewed {title}",
    "cart": "goes with {title} in your cart",
    "bought": "because you bought {title}",
}
_ABOUT_CATEGORIES = {"category": "popular in {about}", "new": "new in {about}"}
_PLAIN = {
    "segment": "popular with visitors like you",
    "trending": "popular now",
    "returned": "you viewed it just now",
    "static": "chosen by the shop",
    "rule": "chosen by the shop",
}


@dataclass(frozen=True)
class Suggestion:
    """An item to show."""

    product: Product
    reason: str
    """Why, in a sentence; empty if nobody says."""
    is_new: bool
    """It was not in the answer before."""


@dataclass(frozen=True)
class Advice:
    """Items to show, the first one first."""

    request_id: str | None
    """The API's; None: these are the shop's own choice, and nobody is told that they were shown."""
    suggestions: tuple[Suggestion, ...]

    @property
    def new(self) -> int:
        """How many were not in the answer before."""
        return sum(one.is_new for one in self.suggestions)


@dataclass(frozen=True)
class Situation:
    """What the visitor is doing."""

    page: str
    """home, product, cart or thanks."""
    product: Product | None = None
    """What is being looked at."""


class Advisor:
    """Asks for recommendations."""

    def __init__(self, api: Api, catalogue: Catalogue, timeout_s: float) -> None:
        self._api, self._catalogue, self._timeout_s = api, catalogue, timeout_s
        self._asking = ThreadPoolExecutor(_MOST_QUESTIONS, "advice")

    def advise(self, visit: Visit, situation: Situation) -> Advice:
        """What to show now. Always answers, and within the time that was set."""
        asked: Future[ApiAnswer] = self._asking.submit(self._api.get, self._question(visit, situation), self._timeout_s)
        try:
            answer = asked.result(self._timeout_s)
            found = list(self._places(answer)) if answer.status == 200 else []
        except (ApiError, TimeoutError, KeyError, TypeError, ValueError, AttributeError):
            asked.cancel()
            found = []
        if not found:
            return self._own(visit, situation)
        fresh = visit.recommended(place for place, _ in found)
        suggestions = (
            Suggestion(self._catalogue[place.item_id], reason, place.item_id in fresh) for place, reason in found
        )
        return Advice(found[0][0].request_id, tuple(suggestions))

    def close(self) -> None:
        """Ask no more."""
        self._asking.shutdown(wait=False, cancel_futures=True)

    def _question(self, visit: Visit, situation: Situation) -> str:
        """The path to ask. The catalog's details are not asked for: what stands beside a price is the shop's own."""
        context = [("limit", str(COUNT)), ("page", situation.page)]
        if situation.product is not None:
            context.append(("product_id", situation.product.item_id))
        context += [("cart", item_id) for item_id in visit.in_cart()]
        context += [("viewed", item_id) for item_id in visit.just_viewed()]
        return f"/v1/recommendations/{quote(visit.visitor_id, safe='')}?{urlencode(context)}"

    def _places(self, answer: ApiAnswer) -> Iterator[tuple[Place, str]]:
        """What the answer names and the shop has, with a reason each. Positions are those of the answer."""
        body = answer.body
        request_id, variant = str(body["request_id"]), body.get("variant")
        for position, item in enumerate(body["items"], 1):
            if item["item_id"] in self._catalogue:
                variant_id = str(variant) if variant is not None else None
                yield Place(request_id, position, item["item_id"], variant_id), self._reason(item["reasons"])

    def _reason(self, reasons: list[dict[str, Any]]) -> str:
        """The weightiest one, as the shop says it: the API knows ids, the shop has titles and its own language."""
        for reason in reasons:
            kind, about = reason["kind"], reason["about"]
            if kind in _SENTENCES and about in self._catalogue:
                return _SENTENCES[kind].format(title=self._catalogue[about].title)
            if kind in _ABOUT_CATEGORIES and about is not None:
                return _ABOUT_CATEGORIES[kind].format(about=about)
            if kind in _PLAIN:
                return _PLAIN[kind]
        return ""

    def _own(self, visit: Visit, situation: Situation) -> Advice:
        """The shop's own choice: the same category first, and nothing that is looked at or in the cart."""
        cart, here = visit.in_cart(), situation.product
        others = [one for one in self._catalogue.values() if one.item_id not in cart and one != here]
        others.sort(key=lambda one: (here is not None and one.category != here.category, "bestseller" not in one.tags))
        return Advice(None, tuple(Suggestion(one, "", False) for one in others[:COUNT]))
