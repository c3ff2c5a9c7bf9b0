"""scikit-learn's batch KMeans and MiniBatchKMeans on given points; runs in an environment of its own.

    python population_peer.py POINTS.npz LABELS.npz

Reads `points` (n, dimensions) and `k`; writes the labels that each of the two gives, `kmeans` and `minibatch`, and the
seconds that each took.
"""

import sys
import time
from typing import Any

import numpy as np
from sklearn.cluster import KMeans, MiniBatchKMeans


def main(source: str, target: str) -> None:
    """Fit both; the best of ten starts each."""
    given = np.load(source)
    points, k = given["points"], int(given["k"])
    found: dict[str, Any] = {}
    for name, kind in (("kmeans", KMeans), ("minibatch", MiniBatchKMeans)):
        began = time.perf_counter()
        found[name] = kind(n_clusters=k, n_init=10, random_state=1).fit_predict(points)
        found[f"{name}_s"] = time.perf_counter() - began
    np.savez(target, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
