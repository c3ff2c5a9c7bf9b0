"""The shop's own rules: pin, boost, bury, hide or show only certain items, in certain contexts."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import prod
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from schemas.settings import DAY_MS
from serving.catalog.item import Item
from serving.conditions import ConditionSet
from serving.ranking.context import Context

Action = Literal["pin", "boost", "bury", "hide", "only"]
_LEAVE_OUT: Final = ("hide", "only")
_CHANGE_SCORES: Final = ("boost", "bury")
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Matching(NamedTuple):
    """Which items a rule is about: all that is named must hold; of a list, one of it. Nothing named: every item."""

    items: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    without_tags: frozenset[str] = frozenset()
    in_stock: bool | None = None
    new_days: float | None = None

    def matches(self, item_id: str, item: Item | None, now_ms: int) -> bool:
        """Whether an item is meant; one that the catalog does not know only by its id."""
        if self.items and item_id not in self.items:
            return False
        if not (self.categories or self.tags or self.without_tags or self.in_stock is not None or self.new_days):
            return True
        if item is None:
            return False
        if self.categories and item.category not in self.categories:
            return False
        if self.tags and self.tags.isdisjoint(item.tags):
            return False
        if self.without_tags and not self.without_tags.isdisjoint(item.tags):
            return False
        if self.in_stock is not None and item.in_stock != self.in_stock:
            return False
        return self.new_days is None or (
            item.listed_ms is not None and now_ms - item.listed_ms <= self.new_days * DAY_MS
        )

    def may_match(self, item_id: str) -> bool:
        """Whether an item may be meant, for all that can be known without the catalog."""
        return not self.items or item_id in self.items


class When(NamedTuple):
    """In which contexts a rule is in force: all that is named must hold. Nothing named: always."""

    pages: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset()
    locations: frozenset[str] = frozenset()
    days: frozenset[str] = frozenset()
    minutes: tuple[int, int] | None = None
    """From and until, in minutes of the local day, until not included; a span over midnight has until < from."""

    def holds(self, context: Context, moment: datetime, in_doubt: bool) -> bool:
        """Whether a question is asked in such a context.

        Args:
            context: the question, and what is known beside it.
            moment: the local time of asking.
            in_doubt: what a device and a location count as that stand in a profile that could not be read.
        """
        began = moment - timedelta(days=1) if self._began_yesterday(moment) else moment
        for wanted, is_now in ((self.pages, context.request.page), (self.days, DAYS[began.weekday()])):
            if wanted and is_now not in wanted:
                return False
        for wanted, is_now in ((self.devices, context.device), (self.locations, context.location)):
            in_profile = is_now is None and not context.profile_read
            if wanted and not (in_doubt if in_profile else is_now in wanted):
                return False
        return self.minutes is None or _between(self.minutes, _minute(moment))

    def _began_yesterday(self, moment: datetime) -> bool:
        """Whether this is the morning of a span over midnight: Saturday night ends on Sunday."""
        return self.minutes is not None and self.minutes[1] < self.minutes[0] and _minute(moment) < self.minutes[1]


class Rule(NamedTuple):
    """One rule of the shop."""

    name: str
    action: Action
    matching: Matching
    when: When
    factor: float = 1.0
    """What scores of matching items are multiplied by: above 1 for boost, below for bury."""
    position: int = 1
    """Where pinned items go, counted from 1; several go one after the other."""
    pinned: tuple[str, ...] = ()
    """Of a pin, in the file's order."""
    condition: int | None = None
    """Bit of its condition in the file's `ConditionSet`; None: it has none."""


class RulesInForce:
    """The rules that hold for one question."""

    def __init__(self, rules: tuple[Rule, ...] = (), now_ms: int = 0) -> None:
        """`now_ms`: by which items are new."""
        self.rules, self._now_ms = rules, now_ms
        self.pins = sorted((rule for rule in rules if rule.action == "pin"), key=lambda rule: rule.position)
        """Rules that put items at a place, by the place, then in the file's order."""
        self._leaving_out = [rule for rule in rules if rule.action in _LEAVE_OUT]
        self._changing = [rule for rule in rules if rule.action in _CHANGE_SCORES]
        self.leave_out, self.change_scores = bool(self._leaving_out), bool(self._changing)
        """Whether any of them leaves items out; may put an item before or behind another one."""
        self.most_factor = prod(max(1.0, rule.factor) for rule in rules)
        """No score grows by more than this; buried items do not shrink it."""

    def allows(self, item_id: str, item: Item | None, *, unread: bool = False) -> bool:
        """False for an item that is hidden, or that a rule for `only` others leaves out.

        `unread`: what the catalog says of it could not be read. It is left out then where it might have to be.
        """
        for rule in self._leaving_out:
            if unread and rule.action == "hide":
                if rule.matching.may_match(item_id):
                    return False
            elif rule.matching.matches(item_id, item, self._now_ms) != (rule.action == "only"):
                return False
        return True

    def factor(self, item_id: str, item: Item | None) -> tuple[float, str | None]:
        """What the item's score is multiplied by, and the boost that is to be named as a reason, if there is one."""
        factor, named = 1.0, None
        for rule in self._changing:
            if rule.matching.matches(item_id, item, self._now_ms):
                factor *= rule.factor
                named = rule.name if rule.action == "boost" else named
        return factor, named


_NO_RULES: Final = RulesInForce()


@dataclass(frozen=True, slots=True)
class ShopRules:
    """All rules of a file."""

    rules: tuple[Rule, ...] = ()
    timezone: ZoneInfo | None = None
    """Of the hours and days; None: UTC."""
    conditions: ConditionSet | None = None

    def in_force(self, context: Context) -> RulesInForce:
        """Those that hold for a question.

        If the profile could not be read, rules that leave items out hold unless it is sure that they do not; all others
        only if it is sure that they do.
        """
        if not self.rules:
            return _NO_RULES
        now_ms = context.request.now_ms
        moment = datetime.fromtimestamp(now_ms // 1000, self.timezone or UTC)
        holding = 0 if self.conditions is None else self.conditions.holding(context.profile, now_ms)
        return RulesInForce(tuple(rule for rule in self.rules if _holds(rule, context, moment, holding)), now_ms)


def _holds(rule: Rule, context: Context, moment: datetime, holding: int) -> bool:
    in_doubt = rule.action in _LEAVE_OUT
    if rule.condition is not None and not (bool(holding >> rule.condition & 1) if context.profile_read else in_doubt):
        return False
    return rule.when.holds(context, moment, in_doubt)


def _minute(moment: datetime) -> int:
    return moment.hour * 60 + moment.minute


def _between(span: tuple[int, int], minute: int) -> bool:
    first, until = span
    return first <= minute < until if first <= until else minute >= first or minute < until
