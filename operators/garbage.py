"""How often Python looks for reference cycles: seldom, since state is trees of plain values, freed without that."""

import gc

_YOUNG, _MIDDLE, _OLD = 1_000_000, 5, 10
"""More than a cache of customers takes in before it lets go of as many: a smaller number would have each of them looked
at, for nothing, while it is there. What is garbage in a cycle waits so long, some hundred megabytes at most."""


def collect_seldom() -> None:
    """To be called from an operator's `open`: what has been imported by then is not looked at again at all."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
