"""How often Python looks for reference cycles: seldom, since state is trees of plain values, freed without that."""

import gc

_YOUNG, _MIDDLE, _OLD = 5_000_000, 5, 10
"""Several times what a cache of customers takes in before it lets go of as many (10,000 of some 80 objects each): a
smaller number would have each of them looked at, for nothing, while it is there, and all else waits meanwhile, half a
second for each million. What is garbage in a cycle waits so long, some hundred megabytes at most."""


def collect_seldom() -> None:
    """To be called from an operator's `open`: what is there by then is not looked at again before the next one's.

    At that it is: of a job that was started anew in the same Python all is there yet, if in a cycle.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
