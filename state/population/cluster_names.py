"""How many clusters there may be, and what they may be called."""

from collections.abc import Mapping
from typing import Final

CLUSTERS_MAX: Final = 32
NAME_MAX: Final = 80
"""Characters of a pinned name or a generated label."""


def checked_names(names: Mapping[int, str]) -> dict[int, str]:
    """Pinned names by cluster id.

    Raises:
        ValueError: one is empty, longer than NAME_MAX, or given twice.
    """
    for cluster_id, name in names.items():
        if not 1 <= len(name.strip()) <= NAME_MAX:
            raise ValueError(f"the name of cluster {cluster_id} must have 1 to {NAME_MAX} characters")
    if len(set(names.values())) < len(names):
        raise ValueError("two clusters are given the same name")
    return dict(names)
