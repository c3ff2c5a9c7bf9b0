"""Click sessions, and how well a method that has learned some of them foretells others."""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from benchmarks.session_baselines import Recommender, Session
from state.similar.ledger import Viewed

TOP = 20
Clicks = list[list[Viewed]]
"""Sessions, oldest first, each a ledger of its own."""


def read_clicks(path: Path) -> Clicks:
    """The sessions of a file, in order of their last click."""
    sessions: dict[str, list[Viewed]] = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            sessions[row["SessionId"]].append((round(float(row["Time"]) * 1000), int(row["SessionId"]), row["ItemId"]))
    return sorted(
        (sorted(session, key=lambda click: click[0]) for session in sessions.values()), key=lambda s: s[-1][0]
    )


def items_of(clicks: Clicks) -> list[Session]:
    return [[click[2] for click in session] for session in clicks]


class Reached(NamedTuple):
    """Of one question."""

    hit_rate: float
    """HR@20."""
    reciprocal: float
    """MRR@20."""
    asked: int


def evaluate(method: Recommender, sessions: Iterable[Session]) -> dict[bool, Reached]:
    """Of new products (True) and of any click (False)."""
    hits, asked, reciprocal = Counter[bool](), Counter[bool](), Counter[bool]()
    for session in sessions:
        for at in range(1, len(session)):
            seen, came = set(session[:at]), session[at]
            ranked = sorted((-score, item) for item, score in method.scores(session[:at]).items())
            for new in (False,) if came in seen else (False, True):
                asked[new] += 1
                first = islice((item for _, item in ranked if not (new and item in seen)), TOP)
                rank = next((place for place, item in enumerate(first, 1) if item == came), 0)
                if rank:
                    hits[new] += 1
                    reciprocal[new] += 1 / rank
    return {new: Reached(hits[new] / asked[new], reciprocal[new] / asked[new], asked[new]) for new in (True, False)}
