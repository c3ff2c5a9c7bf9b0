"""The strategies by name. A new one is a module here and a line in `STRATEGIES`."""

from typing import Protocol

from serving.ranking.context import Context
from serving.ranking.plan import Heard, Plan
from serving.ranking.strategies.personal import Personal
from serving.ranking.strategies.popular import Popular
from serving.ranking.strategies.seed import Seed
from serving.ranking.strategies.session import Session


class Strategy(Protocol):
    """Decides what to listen to and what an item is worth. Pure: the same context and voices give the same scores."""

    name: str

    def level(self, context: Context) -> str:
        """The best level of fallback (request.py) that its items can be of; those below it fill up."""
        ...

    def plan(self, context: Context) -> Plan:
        """What it wants to hear."""
        ...

    def scores(self, context: Context, plan: Plan, heard: Heard) -> dict[str, float]:
        """Score of each candidate; only positive ones count."""
        ...


STRATEGIES: dict[str, Strategy] = {strategy.name: strategy for strategy in (Personal(), Session(), Seed(), Popular())}


class UnknownStrategy(ValueError):  # noqa: N818  (names what is unknown)
    """No strategy has that name; the message lists those there are."""


def strategy_named(name: str) -> Strategy:
    """The strategy of a name.

    Raises:
        UnknownStrategy: there is none.
    """
    found = STRATEGIES.get(name)
    if found is None:
        raise UnknownStrategy(f"there is no strategy {name!r}; there are {', '.join(sorted(STRATEGIES))}")
    return found
