"""How many clusters, and which: batch fits on the sample, judged by silhouette, if other customers give the same ones.

Where there are no clear-cut kinds, silhouettes hardly differ from k to k, and the largest of them is often that of many
clusters which mean nothing: another sample would have others. So for every k both halves of the sample are clustered by
themselves, for some ways to halve it, and a k counts only if their clusters are the same on everybody each time, by the
adjusted Rand index (Tibshirani and Walther, "Cluster Validation by Prediction Strength", Journal of Computational and
Graphical Statistics 14, 2005; Lange, Roth, Braun and Buhmann, "Stability-Based Validation of Clustering Solutions",
Neural Computation 16, 2004).

Of those that count, the most clusters are taken whose silhouette is not worse than the best one but by chance: the mean
difference of the silhouettes of the same customers is at most `k_doubt` standard errors of it.
"""

from math import sqrt
from random import Random
from typing import Final, NamedTuple

from scipy.spatial.distance import cdist

from state.population.cluster_settings import ClusterSettings
from state.population.quality import adjusted_rand, silhouettes
from state.population.scaling import Matrix
from state.population.seeding import Fit, fit_kmeans, nearest, without_small

_WAYS: Final = 3
"""To divide the sample: by good luck halves agree once on clusters that they do not agree on again."""
_SLACK: Final = 0.1
"""What is there may agree by so much less."""


class Choice(NamedTuple):
    """A fit, and how good it is."""

    fit: Fit
    scores: Matrix
    """(judged,): silhouettes of the first points."""
    agreement: float = 1.0
    """How alike the clusters of halves of the sample are, at worst: an adjusted Rand index."""

    @property
    def silhouette(self) -> float:
        """The mean of the scores."""
        return float(self.scores.mean())

    @property
    def k(self) -> int:
        """Clusters."""
        return len(self.fit.centroids)

    def behind(self, better: "Choice") -> float:
        """By how many standard errors of the difference this one's silhouette is lower; 0 if it is not."""
        off = better.scores - self.scores
        mean, error = float(off.mean()), float(off.std()) / sqrt(len(off))
        if mean <= 0:
            return 0.0
        return mean / error if error > 0 else float("inf")


def choose(settings: ClusterSettings, points: Matrix) -> Choice:
    """The clusters of a sample, for every k of the settings, and of these the best.

    Clusters that are too small give their points to the others, so a large k may end as a smaller one. If halves agree
    on no k, there are the fewest.

    Args:
        points: (n, dimensions), n >= 1, in a fixed order.
    """
    return _best(settings, _choices(settings, points, _apart(settings, points)))


def reconsider(
    settings: ClusterSettings, points: Matrix, centroids: Matrix, *, anew: bool = False
) -> tuple[Choice, bool]:
    """What is there, or something better: the choice, and whether it is new.

    What is there stays if it is allowed (see `allowed`), its silhouette is not below that of the best choice by more
    than `k_margin`, or not by more than chance, and halves agree nearly enough on as many clusters, or the best choice
    has no fewer. `anew`: another number of clusters is taken in any case, as nothing speaks for what is there.
    """
    distances = _apart(settings, points)
    fit = nearest(points, centroids)
    present = Choice(fit, silhouettes(distances, fit.labels[: len(distances)]))
    choices = _choices(settings, points, distances)
    best = _best(settings, choices)
    agreement = max((choice.agreement for choice in choices if choice.k == present.k), default=0.0)
    agreed = present.k <= best.k or agreement >= settings.agreement - _SLACK
    equal = present.silhouette + settings.k_margin >= best.silhouette or present.behind(best) <= settings.k_doubt
    if allowed(settings, fit) and agreed and equal and not (anew and present.k != best.k):
        return present, False
    return best, True


def allowed(settings: ClusterSettings, fit: Fit) -> bool:
    """Whether there may be as many clusters, and of these sizes."""
    in_range = settings.k_min <= len(fit.centroids) <= settings.k_max
    return in_range and int(fit.sizes.min()) >= settings.least(len(fit.labels))


def _best(settings: ClusterSettings, choices: list[Choice]) -> Choice:
    wanted = [choice for choice in choices if choice.k >= settings.k_min] or choices
    fewest = min(wanted, key=lambda choice: (choice.k, -choice.silhouette))
    wanted = [choice for choice in wanted if choice.agreement >= settings.agreement] or [fewest]
    best = max(wanted, key=lambda choice: choice.silhouette)
    granted = best.silhouette - settings.k_tolerance
    good = [one for one in wanted if one.silhouette >= granted or one.behind(best) <= settings.k_doubt]
    return max(good, key=lambda choice: (choice.k, choice.silhouette))


def _choices(settings: ClusterSettings, points: Matrix, distances: Matrix) -> list[Choice]:
    least, choices = settings.least(len(points)), []
    halves = _halves(settings, points)
    for k in range(settings.k_min, settings.k_max + 1):
        fit = without_small(points, fit_kmeans(points, min(k, len(points)), settings.seed), least)
        scores = silhouettes(distances, fit.labels[: len(distances)])
        choices.append(Choice(fit, scores, _agreement(settings, points, halves, k)))
    return choices


def _halves(settings: ClusterSettings, points: Matrix) -> list[tuple[Matrix, Matrix]]:
    """Ways to divide the sample, by chance; up to `judged` of each half. None where k is given."""
    if settings.k_min == settings.k_max:
        return []
    random, found = Random(settings.seed), []  # noqa: S311  # must be repeatable, need not be secret
    for _ in range(_WAYS):
        drawn = points[random.sample(range(len(points)), len(points))]
        middle = len(points) // 2
        found.append((drawn[:middle][: settings.judged], drawn[middle:][: settings.judged]))
    return found


def _agreement(settings: ClusterSettings, points: Matrix, halves: list[tuple[Matrix, Matrix]], k: int) -> float:
    """How alike the clusters are that each half of the sample gives, in the worst of the ways to divide it."""
    if k == 1 or len(points) < 4 * k or not halves:
        return 1.0
    worst = 1.0
    for pair in halves:
        fits = [without_small(one, fit_kmeans(one, k, settings.seed), settings.least(len(one))) for one in pair]
        one, other = (nearest(points, fit.centroids).labels for fit in fits)
        worst = min(worst, adjusted_rand(one, other))
        if worst < settings.agreement - _SLACK:
            break  # it cannot count any more
    return worst


def _apart(settings: ClusterSettings, points: Matrix) -> Matrix:
    """(judged, judged): distances of those who are judged."""
    judged = points[: settings.judged]
    found: Matrix = cdist(judged, judged)
    return found
