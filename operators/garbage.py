"""How often Python looks for reference cycles: seldom, since state is trees of plain values, freed without that."""

import gc

_YOUNG, _MIDDLE, _OLD = 50_000, 20, 50


def collect_seldom() -> None:
    """To be called from an operator's `open`: what has been imported by then is not looked at again at all."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
