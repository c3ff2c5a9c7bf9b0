"""The logics of a run that ends and has a population, made here: for one without an engine."""

from jobs.factories import make_customer_logic, make_gather_logic, make_merger_logic, make_snapshot_logic
from schemas.settings import Settings
from state.local_population import Logics
from state.population.assign import AssignLogic
from state.population.in_time import InTime
from state.rules.ruleset import parse_rules


def local_logics(settings: Settings, rules: str, as_of_ms: int) -> Logics:
    """As jobs/factories.py has them made in the operators. `rules`: the text of the rule file."""
    return Logics(
        make_customer_logic(settings, rules, "rules", as_of_ms),
        make_snapshot_logic(settings, as_of_ms),
        make_gather_logic(settings, as_of_ms),
        make_merger_logic(settings, rules, "rules", live=False),
        InTime(AssignLogic(parse_rules(rules).remainder), as_of_ms),
    )
