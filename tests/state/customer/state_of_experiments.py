"""Experiments as a run's outputs leave them."""

from collections import defaultdict
from collections.abc import Iterable

from state.channels import Channel, Output
from state.experiments.logic import ExperimentLogic
from state.experiments.tally import Tally
from state.experiments.told import Told, read_message
from tests.state.items.item_stores import PendingStore


def tallies_of(outputs: Iterable[Output]) -> dict[str, Tally]:
    """By experiment: what the operator's state holds in the end."""
    logic, stores = ExperimentLogic(), defaultdict(PendingStore)
    for channel, key, payload in outputs:
        if channel == Channel.EXPERIMENT:
            logic.on_message(key, payload, 0, stores[key])
    return {key.partition("|")[2]: logic._settled(store).tally for key, store in stores.items()}


def told(outputs: Iterable[Output]) -> dict[str, dict[str, Told]]:
    """By experiment and customer-like number of the message: what was told last, for runs of one customer."""
    found: dict[str, dict[str, Told]] = defaultdict(dict)
    for channel, key, payload in outputs:
        if channel == Channel.EXPERIMENT:
            _, new = read_message(payload)
            name = key.partition("|")[2]
            if new is None:
                found[name].clear()
            else:
                found[name]["c"] = new
    return found
