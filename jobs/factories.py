"""Makes the logic of each operator where the operator runs: module-level functions, so that they can be pickled."""

from functools import partial

from jobs.graph import Logics
from schemas.settings import Settings
from state.control import ControlLogic
from state.customer.logic import CustomerLogic
from state.items.item import ItemLogic
from state.items.publish import PublishLogic
from state.rules.ruleset import parse_rules
from state.similar.settings import SimilarSettings


def similar_settings(settings: Settings) -> SimilarSettings:
    """The part of the settings that the similar items take."""
    return SimilarSettings(
        viewed_half_life_ms=settings.viewed_half_life_ms,
        bought_half_life_ms=settings.bought_half_life_ms,
        bought_span_ms=settings.bought_span_ms,
    )


def make_customer_logic(settings: Settings, rules: str, source: str, as_of_ms: int | None) -> CustomerLogic:
    """`rules` is the text of the rule file, `source` its name; it is compiled again in the operator."""
    return CustomerLogic(settings, parse_rules(rules, source), similar_settings(settings), as_of_ms=as_of_ms)


def make_item_logic(settings: Settings, live: bool) -> ItemLogic:
    """The sums of similar items."""
    return ItemLogic(similar_settings(settings), live=live)


def make_publish_logic(settings: Settings, as_of_ms: int | None) -> PublishLogic:
    """The scores of similar items."""
    return PublishLogic(similar_settings(settings), as_of_ms)


def make_control_logic(settings: Settings) -> ControlLogic:
    """The checks of the control stream."""
    return ControlLogic(settings)


def logics(settings: Settings, rules: str, source: str, as_of_ms: int | None) -> Logics:
    """What the graph binds; `as_of_ms` is the end of a bounded run, None for a live job."""
    return Logics(
        partial(make_customer_logic, settings, rules, source, as_of_ms),
        partial(make_item_logic, settings, as_of_ms is None),
        partial(make_publish_logic, settings, as_of_ms),
        partial(make_control_logic, settings),
    )
