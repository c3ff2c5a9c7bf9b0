"""What visitors see: the same facts as HTML for the first view, and as JSON for the script that changes it in place."""

from typing import Any
from urllib.parse import quote

from examples.shop.advice import Advice, Situation, Suggestion
from examples.shop.catalogue import Catalogue, Product, major_units
from examples.shop.html_templates import Html, filled, joined
from examples.shop.visits import Visit

SHOP = "Teasel & Tin"
_HIDDEN, _SHOWN = Html("hidden"), Html("")
_NOTHING = Suggestion(Product("", "", "", 0), "", False)


class Pages:
    """Pages of a shop with this catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def home(self, visit: Visit, advice: Advice) -> Html:
        """Recommendations, and everything there is."""
        categories = [
            filled(
                "category",
                anchor=str(number),
                name=name.capitalize(),
                cards=joined([_card(Suggestion(product, "", False), None) for product in products]),
            )
            for number, (name, products) in enumerate(self._catalogue.by_category().items(), 1)
        ]
        content = filled("home", recommendations=_recommendations(advice), categories=joined(categories))
        return self._page(visit, SHOP, Situation("home"), content)

    def product(self, visit: Visit, product: Product, advice: Advice) -> Html:
        """One product, and what goes with it."""
        content = filled(
            "product",
            item_id=product.item_id,
            title=product.title,
            category=product.category,
            price=_money(product.price_cents),
            picture=_picture(product),
            recommendations=_recommendations(advice),
        )
        return self._page(visit, f"{product.title} – {SHOP}", Situation("product", product), content)

    def cart(self, visit: Visit, advice: Advice) -> Html:
        """What is in the cart."""
        cart = self.cart_data(visit)
        content = filled(
            "cart",
            lines=joined([filled("line", **line) for line in cart["lines"]]),
            total=cart["total"],
            empty=_HIDDEN if cart["lines"] else _SHOWN,
            full=_SHOWN if cart["lines"] else _HIDDEN,
            recommendations=_recommendations(advice),
        )
        return self._page(visit, f"Your cart – {SHOP}", Situation("cart"), content)

    def thanks(self, visit: Visit, advice: Advice) -> Html:
        """After an order."""
        content = filled("thanks", order_id=visit.last_order, recommendations=_recommendations(advice))
        return self._page(visit, f"Thank you – {SHOP}", Situation("thanks"), content)

    def problem(self, visit: Visit, heading: str, text: str) -> Html:
        """What is not there, or did not work."""
        content = filled("problem", heading=heading, text=text)
        return self._page(visit, f"{heading} – {SHOP}", Situation("problem"), content)

    def cart_data(self, visit: Visit) -> dict[str, Any]:
        """The cart, for a page or for the script."""
        held = {self._catalogue[item_id]: units for item_id, units in visit.in_cart().items()}
        count = sum(held.values())
        return {
            "count": count,
            "count_label": _count_label(count),
            "total": _money(sum(product.price_cents * units for product, units in held.items())),
            "lines": [
                {
                    "item_id": product.item_id,
                    "title": product.title,
                    "href": page_of(product),
                    "picture": _picture(product),
                    "units": f"× {units}",
                    "amount": _money(product.price_cents * units),
                }
                for product, units in held.items()
            ],
        }

    def _page(self, visit: Visit, title: str, situation: Situation, content: Html) -> Html:
        cart = self.cart_data(visit)
        return filled(
            "page",
            title=title,
            page=situation.page,
            looking_at="" if situation.product is None else situation.product.item_id,
            count=cart["count"],
            count_label=cart["count_label"],
            content=content,
            card=_card(_NOTHING, None),
            line=filled("line", item_id="", title="", href="", picture="", units="", amount=""),
        )


def advice_data(advice: Advice) -> dict[str, Any]:
    """Recommendations, for the script."""
    return {
        "request_id": advice.request_id or "",
        "heading": _heading(advice),
        "changed": _changed(advice),
        "items": [_card_values(one, advice.request_id) for one in advice.suggestions],
    }


def page_of(product: Product) -> str:
    """Its path."""
    return f"/p/{quote(product.item_id, safe='')}"


def _recommendations(advice: Advice) -> Html:
    request_id = advice.request_id or ""
    return filled(
        "recommendations",
        request_id=request_id,
        heading=_heading(advice),
        changed=_changed(advice),
        cards=joined([_card(one, advice.request_id) for one in advice.suggestions]),
        pixel=filled("pixel", request_id=quote(request_id, safe="")) if request_id else Html(""),
    )


def _card(suggestion: Suggestion, request_id: str | None) -> Html:
    values = _card_values(suggestion, request_id)
    return filled("card", **values | {"request_id": request_id or "", "new": _SHOWN if values["new"] else _HIDDEN})


def _card_values(suggestion: Suggestion, request_id: str | None) -> dict[str, Any]:
    product = suggestion.product
    followed = None if request_id is None else f"/r/{quote(request_id, safe='')}/{quote(product.item_id, safe='')}"
    return {
        "item_id": product.item_id,
        "title": product.title,
        "href": followed or page_of(product),
        "picture": _picture(product),
        "price": _money(product.price_cents),
        "reason": suggestion.reason.capitalize()[:1] + suggestion.reason[1:],
        "new": suggestion.is_new,
    }


def _heading(advice: Advice) -> str:
    return "Our favourites" if advice.request_id is None else "Recommended for you"


def _changed(advice: Advice) -> str:
    return f"{advice.new} new since the last time" if advice.new else ""


def _count_label(count: int) -> str:
    return f"{count} thing" + ("" if count == 1 else "s")


def _money(cents: int) -> str:
    return f"${major_units(cents)}"


def _picture(product: Product) -> str:
    return f"/pictures/{quote(product.item_id, safe='')}.svg"
