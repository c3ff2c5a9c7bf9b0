"""The file of experiments: TOML under version control, checked whole, each fault with its line and column.

::

    [holdout]
    share = 0.05

    [experiment.blend]
    description = "Is the seed formula better than ours?"
    group = "ranking"
    traffic = [0.0, 0.5]

    [experiment.blend.variant.control]
    share = 50

    [experiment.blend.variant.seed]
    share = 50
    strategy = "seed"

    [experiment.page.factor.size.small]     # multivariate: all combinations of the levels of its factors
    share = 1
    parameters = { columns = 3 }
"""

import hashlib
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import msgspec

from schemas.variant_label import HOLDOUT, MOST_ARMS, MOST_CHARACTERS, NAME, Arm, arms_of, label_of
from serving.checked_toml import CheckedToml
from serving.experiments.definitions import Experiment, Experiments, Factor, Variant
from serving.ranking.settings import RankingSettings
from serving.ranking.strategies import UnknownStrategy, strategy_named
from state.rules.files import read_text
from state.rules.positions import Path as KeyPath

_EXAMPLE: Final = "[experiment.blend]"
PLANNED: Final = "planned_customers_per_variant"
_KEYS: Final = ("description", "salt", "group", "traffic", "from", "until", PLANNED, "variant", "factor")
_LEVEL_KEYS: Final = ("share", "strategy", "ranking", "parameters", "description")
MOST_SHARE: Final = 10_000
MOST_PLANNED: Final = 1_000_000_000
MOST_VARIANTS: Final = 64
"""Of one experiment, combinations of levels counted."""
MOST_WRITTEN: Final = 500
"""Characters of the shares of all variants together, as they travel with every recommendation."""
_OF_SERVER: Final = ("rules_file", "part_timeout_ms")
"""Settings of the ranking that are the server's, not an answer's."""
_OF_HASHES: Final = ":/"
"""What stands between the parts of which hashes are made (assignment.py)."""
_THE_FACTOR: Final = "variant"
"""Name of the only factor of an A/B/n test; part of its salt."""


def load_experiments(path: Path) -> Experiments:
    """Read a file of experiments.

    Raises:
        RuleError: it cannot be read, or has faults; all of them are in `problems`.
    """
    return parse_experiments(read_text(path), str(path))


def parse_experiments(text: str, source: str = "experiments.toml") -> Experiments:
    """Check the text of a file of experiments; `source` names it in messages.

    Raises:
        RuleError: it has faults; all of them are in `problems`.
    """
    toml = CheckedToml(text, source)
    toml.only((), toml.content, ("experiment", "holdout"))
    tables = toml.tables("experiment", _EXAMPLE)
    if not tables and not toml.problems and "holdout" not in toml.content:
        toml.report(("experiment",), f"has no experiment; write at least one table such as {_EXAMPLE}")
    found = [one for name, table in tables.items() if (one := _experiment(toml, name, table)) is not None]
    _check_groups(toml, found)
    _check_changes(toml, found)
    _check_salts(toml, found)
    if len(found) > MOST_ARMS - 1:
        toml.report(("experiment",), f"has {len(found)} experiments, at most {MOST_ARMS - 1} are allowed")
    share, salt, planned = _holdout(toml)
    _check_label(toml, found)
    toml.finish()
    version = hashlib.sha256(text.encode()).hexdigest()[:12]
    return Experiments(tuple(found), share, salt, planned, version)


def _holdout(toml: CheckedToml) -> tuple[float, str, int | None]:
    table = toml.content.get("holdout", {})
    if not isinstance(table, dict):
        toml.report(("holdout",), "holdout must be a table: [holdout]")
        return 0.0, HOLDOUT, None
    toml.only(("holdout",), table, ("share", "salt", PLANNED))
    if "holdout" in toml.content and "share" not in table:
        toml.report(("holdout",), "needs a share of all customers, such as share = 0.05")
    share = toml.number(("holdout",), table, "share", 0.0, 0.5)
    salt = _salt(toml, ("holdout",), table) or HOLDOUT
    return float(share or 0.0), salt, _planned(toml, ("holdout",), table)


def _salt(toml: CheckedToml, path: KeyPath, table: dict[str, Any]) -> str | None:
    salt = toml.text(path, table, "salt")
    if salt is not None and any(mark in salt for mark in _OF_HASHES):
        toml.report((*path, "salt"), "salt must not contain : or /, by which salts of different hashes are told apart")
    return salt


def _planned(toml: CheckedToml, path: KeyPath, table: dict[str, Any]) -> int | None:
    planned = toml.number(path, table, PLANNED, 1, MOST_PLANNED, whole=True)
    return None if planned is None else int(planned)


def _experiment(toml: CheckedToml, name: str, table: dict[str, Any]) -> Experiment | None:
    path = ("experiment", name)
    if re.fullmatch(NAME, name) is None or name == HOLDOUT:
        toml.report(path, f"is no name for an experiment: letters, digits, . _ -, at most 64, and not {HOLDOUT}")
    toml.only(path, table, _KEYS)
    from_ms, until_ms = toml.span_ms(path, table)
    factors = _factors(toml, path, table)
    experiment = Experiment(
        name=name,
        factors=factors,
        description=toml.text(path, table, "description"),
        salt=_salt(toml, path, table) or name,
        group=toml.text(path, table, "group"),
        traffic=_traffic(toml, path, table),
        from_ms=from_ms,
        until_ms=until_ms,
        planned_customers_per_variant=_planned(toml, path, table),
    )
    if not factors:
        return None
    count = len(experiment.combinations)
    if not 2 <= count <= MOST_VARIANTS:
        toml.report(path, f"has {count} variants; from 2 to {MOST_VARIANTS} are needed")
    elif any(len(variant) > 64 for variant in experiment.variants):
        toml.report(path, "has variants with names of more than 64 characters")
    elif len(experiment.shares) > MOST_WRITTEN:
        toml.report(path, "has shares that are too fine: take smaller whole numbers")
    else:
        return experiment
    return None


def _factors(toml: CheckedToml, path: KeyPath, table: dict[str, Any]) -> tuple[Factor, ...]:
    if ("variant" in table) == ("factor" in table):
        example = ".".join(path)
        toml.report(path, f"needs either variants, [{example}.variant.NAME], or factors, [{example}.factor.NAME.LEVEL]")
        return ()
    if "variant" in table:
        factor = _factor(toml, (*path, "variant"), _THE_FACTOR, table["variant"])
        return () if factor is None else (factor,)
    named = table["factor"]
    if not isinstance(named, dict) or len(named) < 2:
        toml.report((*path, "factor"), "needs two factors or more; of one, write its levels as variants")
        return ()
    found = [_factor(toml, (*path, "factor", name), name, levels) for name, levels in named.items()]
    return () if None in found else tuple(factor for factor in found if factor is not None)


def _factor(toml: CheckedToml, path: KeyPath, name: str, tables: Any) -> Factor | None:
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        toml.report(path, "must be tables, each with a share")
        return None
    shares: dict[str, int] = {}
    levels: dict[str, Variant] = {}
    for level, table in tables.items():
        here = (*path, level)
        if re.fullmatch(NAME, level) is None:
            toml.report(here, "is no name for a variant: letters, digits, . _ -, at most 64")
        toml.only(here, table, _LEVEL_KEYS)
        toml.text(here, table, "description")
        share = toml.number(here, table, "share", 1, MOST_SHARE, whole=True)
        if "share" not in table:
            toml.report(here, f"needs a share: a whole number from 1 to {MOST_SHARE:,}")
        shares[level] = int(share or 1)
        levels[level] = Variant(_ranking(toml, here, table), _parameters(toml, here, table))
    if len(shares) < 2:
        toml.report(path, "needs two of them or more, to be told apart")
        return None
    return Factor(name, shares, levels)


def _ranking(toml: CheckedToml, path: KeyPath, table: dict[str, Any]) -> dict[str, Any]:
    changes = dict(table.get("ranking", {})) if isinstance(table.get("ranking", {}), dict) else None
    if changes is None:
        toml.report((*path, "ranking"), "ranking must be a table of settings of the ranking")
        return {}
    for name in _OF_SERVER:
        if name in changes:
            toml.report((*path, "ranking"), f"{name} is the server's, and the same for all")
    strategy = toml.text(path, table, "strategy")
    if strategy is not None:
        changes["strategy"] = strategy
    try:
        settings = msgspec.convert(changes, RankingSettings, strict=False)
        strategy_named(settings.strategy)
    except (msgspec.ValidationError, UnknownStrategy) as error:
        toml.report((*path, "ranking") if "ranking" in table else (*path, "strategy"), str(error))
        return {}
    return {name: getattr(settings, name) for name in changes}


def _parameters(toml: CheckedToml, path: KeyPath, table: dict[str, Any]) -> dict[str, Any]:
    found = table.get("parameters", {})
    try:
        if isinstance(found, dict):
            return dict(msgspec.json.decode(msgspec.json.encode(found)))  # times as text: JSON has none
    except (TypeError, ValueError):
        pass
    toml.report((*path, "parameters"), "parameters must be a table")
    return {}


def _traffic(toml: CheckedToml, path: KeyPath, table: dict[str, Any]) -> tuple[float, float]:
    found = table.get("traffic", 1.0)
    both = found if isinstance(found, list) else [0.0, found]
    numbers = [one for one in both if isinstance(one, int | float) and not isinstance(one, bool)]
    if len(numbers) == len(both) == 2 and 0 <= numbers[0] < numbers[1] <= 1:
        return float(numbers[0]), float(numbers[1])
    toml.report((*path, "traffic"), "traffic must be a share of all customers, 0.5, or a slice of them, [0.25, 0.75]")
    return 0.0, 1.0


def _check_groups(toml: CheckedToml, experiments: list[Experiment]) -> None:
    """Within a group no two slices overlap, if both experiments may run at one time."""
    for one, other in _together(experiments):
        apart = one.traffic[0] >= other.traffic[1] or other.traffic[0] >= one.traffic[1]
        if one.group is not None and one.group == other.group and not apart:
            slices = f"{list(other.traffic)} and {list(one.traffic)}"
            toml.report(
                ("experiment", one.name, "traffic"),
                f'overlaps with "{other.name}" of the same group: {slices}; give each a slice of its own',
            )


def _check_changes(toml: CheckedToml, experiments: list[Experiment]) -> None:
    """What two experiments change of the ranking, a customer who is in both would get of one of them only."""
    for one, other in _together(experiments):
        both = one.changed & other.changed
        if both and not (one.group is not None and one.group == other.group):
            toml.report(
                ("experiment", one.name),
                f'changes {", ".join(sorted(both))}, as "{other.name}" does: put both into one group, '
                "or make them one experiment with two factors",
            )


def _check_salts(toml: CheckedToml, experiments: list[Experiment]) -> None:
    """With one salt for two experiments, whoever gets the first variant of one gets the first of the other."""
    for one, other in _together(experiments):
        if one.salt == other.salt:
            toml.report(
                ("experiment", one.name),
                f'has the salt of "{other.name}", {one.salt}: both would divide customers in the same way, and '
                "nobody could tell what comes of which; give each a salt of its own",
            )


def _check_label(toml: CheckedToml, experiments: list[Experiment]) -> None:
    """What is sent along with a recommendation can be read again, whoever gets it."""
    longest = [Arm(one.name, max(one.variants, key=len), len(one.variants), one.shares) for one in experiments]
    label = label_of([Arm(HOLDOUT, "held-out", 1, "5000:5000"), *longest])
    if experiments and not toml.problems and len(arms_of(label or "")) != len(experiments) + 1:
        toml.report(
            ("experiment",),
            f"variants and shares of all together are too long: {len(label or '')} of {MOST_CHARACTERS} characters, "
            "and no share above 999,999,999: take fewer variants, or smaller whole numbers for shares",
        )


def _together(experiments: list[Experiment]) -> Iterator[tuple[Experiment, Experiment]]:
    """Every two of which there is a time at which both run: (the later one in the file, the earlier one)."""
    for other, one in combinations(experiments, 2):
        ends = [(one.until_ms, other.from_ms), (other.until_ms, one.from_ms)]
        if not any(until is not None and start is not None and until <= start for until, start in ends):
            yield one, other
