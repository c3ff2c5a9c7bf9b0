"""Makes the logic of each operator where the operator runs: module-level functions, so that they can be pickled."""

from functools import partial
from typing import TYPE_CHECKING

from jobs.graph import Logics, PopulationLogics
from operators.imports import import_apart
from schemas.decode import wall_clock_ms
from schemas.settings import Settings
from state.control import ControlLogic
from state.customer.logic import CustomerLogic
from state.experiments.logic import ExperimentLogic
from state.items.item import ItemLogic
from state.items.publish import PublishLogic
from state.population.assign import AssignLogic
from state.population.assign_book import AssignBook
from state.population.gathering import GatherLogic
from state.population.in_time import InTime
from state.population.settings import GATHER_BOUNDED_MS, PopulationSettings, population_settings
from state.population.snapshots import SnapshotLogic, SnapshotSettings
from state.rules.ruleset import parse_rules
from state.similar.settings import similar_settings

if TYPE_CHECKING:
    from state.population.merger import MergerLogic


def make_customer_logic(settings: Settings, rules: str, source: str, as_of_ms: int | None) -> CustomerLogic:
    """`rules` is the text of the rule file, `source` its name; it is compiled again in the operator."""
    return CustomerLogic(
        settings,
        parse_rules(rules, source),
        similar_settings(settings),
        as_of_ms=as_of_ms,
        watching=population_settings(settings).enabled,
    )


def make_item_logic(settings: Settings, live: bool) -> ItemLogic:
    """The sums of similar items."""
    return ItemLogic(similar_settings(settings), live=live, now_ms=wall_clock_ms)


def make_publish_logic(settings: Settings, as_of_ms: int | None) -> PublishLogic:
    """The scores of similar items."""
    return PublishLogic(similar_settings(settings), as_of_ms)


def make_control_logic(settings: Settings) -> ControlLogic:
    """The checks of the control stream."""
    return ControlLogic(settings)


def make_snapshot_logic(settings: Settings, as_of_ms: int | None) -> SnapshotLogic:
    """What customers tell the population."""
    chosen = population_settings(settings)
    return SnapshotLogic(
        SnapshotSettings(
            axes=chosen.clusters.scaling.axes,
            # of an interval of gathering only the newest snapshot counts: no other is needed
            interval_ms=max(chosen.interval_ms, _gather_every_ms(chosen, as_of_ms)),
            session_gap_ms=settings.session_gap_ms,
            as_of_ms=as_of_ms,
            watched=chosen.drift.watched,
            spread=as_of_ms is None,
        ),
        (),
    )


def make_gather_logic(settings: Settings, as_of_ms: int | None) -> GatherLogic:
    """What is put together of it at one place."""
    chosen = population_settings(settings)
    return GatherLogic(chosen.clusters, _gather_every_ms(chosen, as_of_ms), as_of_ms)


def _gather_every_ms(chosen: PopulationSettings, as_of_ms: int | None) -> int:
    return chosen.gather_every_ms if as_of_ms is None else max(chosen.gather_every_ms, GATHER_BOUNDED_MS)


def make_merger_logic(settings: Settings, rules: str, source: str, live: bool) -> "MergerLogic":
    """What is learned of it."""
    import_apart("state.population.merger")
    from state.population.merger import MergerLogic

    return MergerLogic(population_settings(settings), parse_rules(rules, source), live=live)


def make_assign_logic(rules: str, source: str, as_of_ms: int | None) -> InTime | AssignBook:
    """What customers are in, given that."""
    parsed = parse_rules(rules, source)
    logic = AssignLogic(parsed.remainder)
    return AssignBook(logic, parsed) if as_of_ms is None else InTime(logic, as_of_ms)


def population_logics(settings: Settings, rules: str, source: str, as_of_ms: int | None) -> PopulationLogics | None:
    """What the operators of the population bind; None if the settings want none."""
    if not population_settings(settings).enabled:
        return None
    return PopulationLogics(
        partial(make_snapshot_logic, settings, as_of_ms),
        partial(make_gather_logic, settings, as_of_ms),
        partial(make_merger_logic, settings, rules, source, as_of_ms is None),
        partial(make_assign_logic, rules, source, as_of_ms),
    )


def logics(settings: Settings, rules: str, source: str, as_of_ms: int | None) -> Logics:
    """What the graph binds; `as_of_ms` is the end of a bounded run, None for a live job."""
    return Logics(
        partial(make_customer_logic, settings, rules, source, as_of_ms),
        partial(make_item_logic, settings, as_of_ms is None),
        partial(make_publish_logic, settings, as_of_ms),
        partial(make_control_logic, settings),
        population_logics(settings, rules, source, as_of_ms),
        partial(ExperimentLogic, as_of_ms),
    )
