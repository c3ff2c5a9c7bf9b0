"""The file of the shop's rules: TOML under version control, checked whole, each fault with its line and column.

::

    timezone = "Europe/Berlin"

    [rules.evening-sale]
    description = "Things on sale come first in the evening on phones."
    action = "boost"
    factor = 1.5
    tags = ["sale"]
    hours = "18:00-23:00"
    devices = ["mobile"]
    condition = 'not segment("vip")'
"""

import re
from pathlib import Path
from typing import Any, Final, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from serving.checked_toml import CheckedToml
from serving.conditions import AnySegment, condition_set
from serving.ranking.shop_rules import DAYS, Action, Matching, Rule, ShopRules, When
from state.rules import tree
from state.rules.files import read_text
from state.rules.positions import Path as KeyPath

_TOP: Final = ("timezone", "rules")
_MATCHING: Final = ("items", "categories", "tags", "without_tags", "in_stock", "new_days")
_WHEN: Final = ("pages", "devices", "locations", "days", "hours", "condition")
_OF_ACTION: Final = {"pin": ("position",), "boost": ("factor",), "bury": ("factor",), "hide": (), "only": ()}
_EXAMPLE: Final = "[rules.spring-sale]"
_HOURS: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
MOST_RULES: Final = 256
MOST_POSITION: Final = 100


def load_shop_rules(path: Path, segments: frozenset[str] | None = None) -> ShopRules:
    """Read a file of rules; `segments`: names that conditions may refer to, None: any.

    Raises:
        RuleError: it cannot be read, or has faults; all of them are in `problems`.
    """
    return parse_shop_rules(read_text(path), str(path), segments)


def parse_shop_rules(text: str, source: str = "rules.toml", segments: frozenset[str] | None = None) -> ShopRules:
    """Check the text of a file of rules; `source` names it in messages.

    Raises:
        RuleError: it has faults; all of them are in `problems`.
    """
    toml = CheckedToml(text, source)
    toml.only((), toml.content, _TOP)
    timezone = _timezone(toml)
    conditions: list[tree.Condition] = []
    tables = toml.tables("rules", _EXAMPLE)
    if len(tables) > MOST_RULES:
        toml.report(("rules",), f"has {len(tables)} rules, at most {MOST_RULES} are allowed")
    known = AnySegment() if segments is None else segments
    rules = [_rule(toml, name, table, known, conditions) for name, table in tables.items()]
    toml.finish()
    compiled = condition_set(conditions) if conditions else None
    return ShopRules(tuple(rule for rule in rules if rule is not None), timezone, compiled)


def _timezone(toml: CheckedToml) -> ZoneInfo | None:
    name = toml.text((), toml.content, "timezone")
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        toml.report(("timezone",), f'there is no time zone "{name}"; write one such as "Europe/Berlin"')
        return None


def _rule(
    toml: CheckedToml, name: str, table: dict[str, Any], segments: frozenset[str], conditions: list[tree.Condition]
) -> Rule | None:
    path = ("rules", name)
    toml.text(path, table, "description")
    action = toml.text(path, table, "action")
    if action is None or action not in get_args(Action):
        wanted = ", ".join(get_args(Action))
        place = (*path, "action") if "action" in table else path
        toml.report(place, f"needs an action: one of {wanted}")
        return None
    toml.only(path, table, ("description", "action", *_OF_ACTION[action], *_MATCHING, *_WHEN))
    matching = _matching(toml, path, table)
    factor = _factor(toml, path, table, action)
    position = toml.number(path, table, "position", 1, MOST_POSITION, whole=True)
    if action == "pin" and not matching.items:
        toml.report(path, 'a pin needs items = ["…"]: those to put there')
    elif action != "pin" and matching == Matching():
        toml.report(path, f"names no items: say which with {', '.join(_MATCHING)}")
    condition = toml.condition(path, table, "condition", segments)
    bit = None
    if condition is not None:
        bit = len(conditions)
        conditions.append(condition)
    pinned = tuple(dict.fromkeys(table["items"])) if action == "pin" and matching.items else ()
    return Rule(
        name, action, matching, _when(toml, path, table), factor, int(position or 1), pinned, bit,  # type: ignore[arg-type]
    )  # fmt: skip


def _matching(toml: CheckedToml, path: KeyPath, table: dict[str, Any]) -> Matching:
    return Matching(
        frozenset(toml.texts(path, table, "items")),
        frozenset(toml.texts(path, table, "categories")),
        frozenset(toml.texts(path, table, "tags")),
        frozenset(toml.texts(path, table, "without_tags")),
        toml.truth(path, table, "in_stock"),
        toml.number(path, table, "new_days", 0.01, 3650),
    )


def _factor(toml: CheckedToml, path: KeyPath, table: dict[str, Any], action: str) -> float:
    if action not in ("boost", "bury"):
        return 1.0
    if "factor" not in table:
        toml.report(path, f"a {action} needs a factor: what scores are multiplied by")
        return 1.0
    least, most = (1.0, 1000.0) if action == "boost" else (0.0, 1.0)
    factor = toml.number(path, table, "factor", least, most)
    return 1.0 if factor is None else float(factor)


def _when(toml: CheckedToml, path: KeyPath, table: dict[str, Any]) -> When:
    days = toml.texts(path, table, "days")
    for day in days:
        if day not in DAYS:
            toml.report((*path, "days"), f'"{day}" is no day; the days are {", ".join(DAYS)}')
    return When(
        frozenset(toml.texts(path, table, "pages")),
        frozenset(toml.texts(path, table, "devices")),
        frozenset(toml.texts(path, table, "locations")),
        frozenset(days),
        _minutes(toml, path, table),
    )


def _minutes(toml: CheckedToml, path: KeyPath, table: dict[str, Any]) -> tuple[int, int] | None:
    written = toml.text(path, table, "hours")
    if written is None:
        return None
    match = _HOURS.fullmatch(written)
    first, until = (int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])) if match else (0, 0)
    if first == until or until > 24 * 60:
        toml.report((*path, "hours"), 'hours must be a span of the day such as "18:00-23:00" or "22:00-06:00"')
        return None
    return first, until
