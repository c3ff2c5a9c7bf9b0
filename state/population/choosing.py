"""How many clusters, and which: batch fits on the sample, judged by silhouette."""

from typing import NamedTuple

from state.population.cluster_settings import ClusterSettings
from state.population.quality import silhouette
from state.population.scaling import Matrix
from state.population.seeding import Fit, fit_kmeans, nearest, without_small


class Choice(NamedTuple):
    """A fit, and how good it is."""

    fit: Fit
    silhouette: float


def judge(points: Matrix, fit: Fit, judged: int) -> Choice:
    """With the silhouette of the first `judged` points."""
    return Choice(fit, silhouette(points[:judged], fit.labels[:judged]))


def choose(settings: ClusterSettings, points: Matrix) -> Choice:
    """The clusters of a sample, for every k of the settings, and of these the best.

    Clusters that are too small give their points to the others, so a large k may end as a smaller one. The best is that
    with the most clusters whose silhouette is within `k_tolerance` of the highest.

    Args:
        points: (n, dimensions), n >= 1, in a fixed order.
    """
    least = settings.least(len(points))
    choices = []
    for k in range(settings.k_min, settings.k_max + 1):
        fit = without_small(points, fit_kmeans(points, min(k, len(points)), settings.seed), least)
        choices.append(judge(points, fit, settings.judged))
    wanted = [choice for choice in choices if len(choice.fit.centroids) >= settings.k_min] or choices
    enough = max(choice.silhouette for choice in wanted) - settings.k_tolerance
    good = [choice for choice in wanted if choice.silhouette >= enough]
    return max(good, key=lambda choice: (len(choice.fit.centroids), choice.silhouette))


def reconsider(settings: ClusterSettings, points: Matrix, centroids: Matrix) -> tuple[Choice, bool]:
    """What is there, or something better: the choice, and whether it is new.

    What is there stays if it is allowed (right number of clusters, none too small) and its silhouette, together with
    `k_margin` and what the tolerance grants to more clusters, is not below that of the best choice.
    """
    present = judge(points, nearest(points, centroids), settings.judged)
    best = choose(settings, points)
    k = len(centroids)
    allowed = settings.k_min <= k <= settings.k_max and present.fit.sizes.min() >= settings.least(len(points))
    granted = settings.k_margin + (settings.k_tolerance if k > len(best.fit.centroids) else 0.0)
    if allowed and present.silhouette + granted >= best.silhouette:
        return present, False
    return best, True
