"""What holds for every shop, customer, question and rule."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from serving.catalog.item import Item
from serving.ranking.memory_source import MemorySource
from serving.ranking.request import LEVELS, PINNED
from serving.ranking.strategies import STRATEGIES
from state.similar.settings import BOUGHT_WITH, VIEWED_WITH
from tests.serving.ranking.shops import DAY_MS, NOW_MS, ask, names, profile

ITEM = st.sampled_from([f"p{number}" for number in range(12)])
LISTED = st.lists(st.tuples(ITEM, st.floats(0, 1), st.integers(0, 99)), max_size=6)
SCOPES = st.sampled_from(["all", "segment:vip", "category:x", "category:y", "new:x"])
AGO = st.integers(0, 300 * DAY_MS)
CATALOG = st.builds(
    Item,
    item_id=ITEM,
    category=st.sampled_from(["x", "y", None]),
    tags=st.sampled_from([(), ("sale",), ("sale", "old")]),
    in_stock=st.booleans(),
)
PROFILES = st.builds(
    profile,
    viewed=st.lists(st.tuples(ITEM, AGO), max_size=5).map(lambda seen: sorted(seen, key=lambda one: one[1])),
    cart=st.lists(ITEM, max_size=2),
    bought=st.lists(st.tuples(ITEM, AGO), max_size=3).map(lambda had: sorted(had, key=lambda one: one[1])),
    segments=st.sampled_from([[], ["vip"]]),
    categories=st.sampled_from([[], ["x"], ["y", "x"]]),
)
QUESTIONS = st.fixed_dictionaries(
    {
        "strategy": st.sampled_from(sorted(STRATEGIES)),
        "limit": st.integers(1, 15),
        "viewed": st.lists(ITEM, max_size=4).map(tuple),
        "cart": st.lists(ITEM, max_size=2).map(tuple),
        "exclude": st.lists(ITEM, max_size=3).map(tuple),
        "product_id": st.none() | ITEM,
    }
)
SETTINGS = st.fixed_dictionaries(
    {
        "category_share": st.sampled_from([0.3, 0.7, 1.0]),
        "diversity": st.sampled_from([0.0, 0.4, 1.0]),
        "viewed_again": st.booleans(),
        "static": st.lists(ITEM, max_size=3, unique=True).map(tuple),
    }
)
RULES = st.sampled_from(
    [
        None,
        '[rules.a]\naction = "pin"\nitems = ["p1", "p2"]\nposition = 2',
        '[rules.a]\naction = "hide"\ntags = ["old"]\n[rules.b]\naction = "boost"\nfactor = 2\ncategories = ["x"]',
        '[rules.a]\naction = "only"\nin_stock = true\n[rules.b]\naction = "pin"\nitems = ["p3"]\nposition = 1',
    ]
)


@st.composite
def shops(draw: st.DrawFn) -> MemorySource:
    source = MemorySource()
    for relation in (VIEWED_WITH, BOUGHT_WITH):
        for item_id, neighbours in draw(st.dictionaries(ITEM, LISTED, max_size=6)).items():
            source.put_similar(relation, item_id, sorted(neighbours, key=lambda one: -one[1]))
    for scope, listed in draw(st.dictionaries(SCOPES, st.dictionaries(ITEM, st.floats(0, 1e6), max_size=6))).items():
        source.scopes[scope] = sorted(listed.items(), key=lambda one: -one[1])
    source.put_items(draw(st.lists(CATALOG, max_size=12)))
    known = draw(st.none() | PROFILES)
    if known is not None:
        source.profiles["c"] = known
    return source


class TestLaws:
    @settings(max_examples=150, deadline=None)
    @given(shops(), QUESTIONS, SETTINGS, RULES)
    def test_every_answer(
        self, source: MemorySource, question: dict[str, Any], chosen: dict[str, Any], rules: str | None
    ) -> None:
        """Limit kept, nothing twice, nothing excluded, in the cart or out of stock, levels in order, reasons."""
        answer = ask(source, rules, chosen, **question)
        found = names(answer)
        assert len(found) <= question["limit"]
        assert len(set(found)) == len(found)
        recent = source.profiles.get("c", {}).get("recent", {})
        out = {*question["exclude"], *question["cart"], *recent.get("cart", ()), question["product_id"]}
        if not chosen["viewed_again"]:
            out.update(question["viewed"])
        out.update(item for item, at_ms in recent.get("bought", ()) if NOW_MS - at_ms <= 180 * DAY_MS)
        assert not out & set(found)
        assert all(source.catalog[name].in_stock for name in found if name in source.catalog)
        served = [item.level for item in answer.items if item.level != PINNED]
        assert served == sorted(served, key=LEVELS.index)
        assert all(item.reasons for item in answer.items)
        assert not answer.degraded

    @settings(max_examples=60, deadline=None)
    @given(shops(), QUESTIONS, SETTINGS, RULES)
    def test_the_same_question_has_the_same_answer(
        self, source: MemorySource, question: dict[str, Any], chosen: dict[str, Any], rules: str | None
    ) -> None:
        """Whatever the order in which a dictionary was filled: ties are broken by item id."""
        mixed = MemorySource()
        mixed.profiles, mixed.catalog = source.profiles, dict(reversed(source.catalog.items()))
        mixed.scopes = dict(reversed(source.scopes.items()))
        mixed.lists = {name: dict(reversed(lists.items())) for name, lists in reversed(source.lists.items())}
        assert ask(source, rules, chosen, **question) == ask(mixed, rules, chosen, **question)

    @settings(max_examples=80, deadline=None)
    @given(shops(), QUESTIONS, SETTINGS, st.integers(1, 15), ITEM)
    def test_a_pin_is_where_it_shall_be(
        self, source: MemorySource, question: dict[str, Any], chosen: dict[str, Any], position: int, pinned: str
    ) -> None:
        """Or at the end of a shorter answer; unless it may not be shown, or there is no such place."""
        rule = f'[rules.a]\naction = "pin"\nitems = ["{pinned}"]\nposition = {position}'
        answer = ask(source, rule, chosen, **question)
        at = [place for place, item in enumerate(answer.items, 1) if item.level == PINNED]
        free = ask(
            source, f'[rules.a]\naction = "only"\nitems = ["{pinned}"]', {**chosen, "static": (pinned,)}, **question
        )
        if position <= question["limit"] and names(free) == [pinned]:
            assert at == [min(position, len(answer.items))]
            assert answer.items[at[0] - 1].item_id == pinned
        else:
            assert at == []
