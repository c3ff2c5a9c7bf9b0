"""Published neighbourhood methods by their definitions, in the plainest way: vectors over all items, nothing kept.

* Item-KNN: Hidasi, Karatzoglou, Baltrunas, Tikk, "Session-based Recommendations with Recurrent Neural Networks" (ICLR
  2016), section 4: the number of sessions with both items over the root of the product of the numbers of sessions with
  each, with a regularisation against rare items.
* S-KNN and VS-KNN: Ludewig, Jannach, "Evaluation of Session-based Recommendation Algorithms" (UMUAI 28, 2018), section
  3.3: score(i, s) = sum over the neighbours n of s of sim(s, n) * [i in n].

`sessions`: items in order, the oldest session first.
"""

from math import log, log10, sqrt

Sessions = list[list[str]]


def item_knn(sessions: Sessions, last: str, damping: int) -> dict[str, float]:
    """Of each other item that shares a session with the last one."""
    found = {}
    for item in {item for session in sessions for item in session} - {last}:
        both = len([1 for session in sessions if item in session and last in session])
        one = len([1 for session in sessions if item in session])
        other = len([1 for session in sessions if last in session])
        if both:
            found[item] = both / sqrt((one + damping) * (other + damping))
    return found


def neighbours(
    sessions: Sessions, so_far: list[str], sample: int, similarity: str, weighting: str
) -> list[tuple[float, int]]:
    """(similarity, place) of all that are looked at, best first; the first ones are the neighbours."""
    sharing = [place for place, session in enumerate(sessions) if any(item in session for item in so_far)]
    items = sorted({item for session in [*sessions, so_far] for item in session})
    own = [position_weight(so_far, item, weighting) for item in items]
    found = []
    for place in sharing[-sample:]:
        other = [1 if item in sessions[place] else 0 for item in items]
        shared = sum(a * b for a, b in zip(own, other, strict=True))
        if similarity == "cosine":
            alike = shared / sqrt(sum(a * a for a in own)) / sqrt(sum(other))
        else:
            alike = shared / len(set(so_far))
        found.append((alike, place))
    return sorted(found, reverse=True)


def session_knn(
    sessions: Sessions, so_far: list[str], k: int, sample: int, similarity: str, weighting: str, decay: str, idf: float
) -> dict[str, float]:
    """Scores of all items that a neighbour has."""
    found: dict[str, float] = {}
    for alike, place in neighbours(sessions, so_far, sample, similarity, weighting)[:k]:
        if alike == 0:
            continue
        steps = min(back for back in range(1, len(so_far) + 1) if so_far[-back] in sessions[place])
        for item in set(sessions[place]):
            rare = log(len(sessions) / len([1 for session in sessions if item in session]))
            found[item] = found.get(item, 0) + alike * decayed(steps, decay) * (1 + idf * rare)
    return found


def position_weight(so_far: list[str], item: str, weighting: str) -> float:
    """Of an item by where it stands last in the session; 0 if it does not."""
    places = [place for place in range(1, len(so_far) + 1) if so_far[place - 1] == item]
    if not places:
        return 0
    place, length = places[-1], len(so_far)
    if weighting == "div":
        return place / length
    if weighting == "linear":
        return (10 - (length - place)) / 10 if length - place < 10 else 0
    if weighting == "log":
        return 1 / log10(length - place + 1.7)
    if weighting == "quadratic":
        return place * place / (length * length)
    return 1


def decayed(steps: int, decay: str) -> float:
    """What a neighbour counts that shares the last item (1 step), or only earlier ones."""
    if decay == "div":
        return 1 / steps
    if decay == "linear":
        return (11 - steps) / 10 if steps < 10 else 0.1
    if decay == "log":
        return 1 / log10(steps + 1.7)
    if decay == "quadratic":
        return 1 / steps**2
    return 1
