"""How well `viewed-with` lists foretell the next product of a session, beside published neighbourhood methods.

    python -m benchmarks.next_item TRAIN TEST [--tune VALIDATION_TRAIN VALIDATION]

The files hold clicks: a header with SessionId, ItemId, Time (seconds), separated by tabs, as in the prepared samples of
the `session-rec` framework (rn5l/session-rec on GitHub, data/rsc15/prepared). The data is not part of this project.

For each click of a test session but the first, the methods see the session so far and rank 20 products. Two measures,
HR@20 (is the next product among them) and MRR@20 (1/rank), and two questions: the next click whatever it is, and the
next product not yet seen in the session ("new"), which is what a list of similar products is for.
"""

import argparse
import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from itertools import islice, product
from pathlib import Path
from random import Random
from typing import NamedTuple

from benchmarks.session_baselines import (
    ItemKnn,
    Recommender,
    Scores,
    SequentialRules,
    Session,
    SessionKnn,
)
from serving.evaluation.session_options import S_KNN, VS_KNN, KnnOptions
from state.similar.changes import messages
from state.similar.ledger import Viewed, newest
from state.similar.message import read_message
from state.similar.row import ItemRow
from state.similar.score import candidates, neighbours
from state.similar.settings import DAY_MS, VIEWED_WITH, SimilarSettings

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


class ViewedWith:
    """The published lists, by the project's own code: of the last product, or of the last few, later ones first."""

    def __init__(self, clicks: Clicks, settings: SimilarSettings, depth: int) -> None:
        self._depth = depth
        rows: dict[str, ItemRow] = defaultdict(ItemRow)
        for session in clicks:
            ledger, _ = newest(session, settings.ledger_max)
            for item, message in messages(VIEWED_WITH, (), ledger, settings):
                rows[item].apply(read_message(message))
        totals = {item: row.total for item, row in rows.items()}
        self._lists = {
            item: neighbours(candidates(row, settings.candidates_max), totals.get, VIEWED_WITH, settings)
            for item, row in rows.items()
        }

    def scores(self, so_far: Session) -> Scores:
        scores: Scores = defaultdict(float)
        for back, item in enumerate(list(dict.fromkeys(reversed(so_far)))[: self._depth]):
            for neighbour in self._lists.get(item, ()):
                scores[neighbour.item] += neighbour.score / (1 + back) ** 1.5
        return scores


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


NEARS = {
    "flat": (64,) * 10,
    "1/d": tuple(max(1, round(64 / d)) for d in range(1, 11)),
    "1/sqrt d": tuple(round(64 / d**0.5) for d in range(1, 11)),
    "3/4^d": (64, 48, 36, 27, 20, 15, 11, 9, 6, 5),
    "1/2^d": (64, 32, 16, 8, 4, 2, 1),
    "3/4^d, 5": (64, 48, 36, 27, 20),
    "3/4^d, 20": tuple(max(1, round(64 * 0.75**d)) for d in range(20)),
    "next only": (64,),
}


GRID = {
    "k": (50, 100, 500, 1_000, 1_500),
    "sample": (500, 1_000, 2_500, 5_000, 10_000),
    "similarity": ("vec", "cosine"),
    "weighting": ("same", "div", "linear", "log", "quadratic"),
    "weighting_score": ("same", "div", "linear", "log", "quadratic"),
    "idf": (0.0, 1.0, 2.0, 5.0, 10.0),
}
"""Of VS-KNN: that of session-rec (conf/save/rsc15/window/opt/window_rsc15_knnidf.yml), and both its similarities."""
DRAWN = 100
"""So many of these are tried, as there, and then all neighbours of the best."""


def tune(train: Path, validation: Path) -> None:
    """Every choice of near, shrink and half-life, and options of the others, on the validation split."""
    clicks, asked = read_clicks(train), items_of(read_clicks(validation))
    print(f"{'':<60}   {'new products':<17} any click")
    for (name, near), shrink in product(NEARS.items(), (0, 1, 2, 5, 10, 20)):
        settings = replace(SimilarSettings(), near=near, viewed_shrink=shrink)
        _tell(f"viewed-with, near {name}, shrink {shrink}", evaluate(ViewedWith(clicks, settings, 1), asked))
    for days in (1, 2, 4, 8, 30):
        settings = replace(SimilarSettings(), viewed_half_life_ms=days * DAY_MS)
        _tell(f"viewed-with, half-life {days} days", evaluate(ViewedWith(clicks, settings, 1), asked))
    for damping in (0, 20, 50, 100, 200):
        _tell(f"item-KNN, damping {damping}", evaluate(ItemKnn(items_of(clicks), damping), asked))
    search(items_of(clicks), asked)


def search(sessions: Sequence[Session], asked: Sequence[Session]) -> None:
    """Options of VS-KNN: `DRAWN` of the grid at random, then from the best by MRR@20 of any click step by step.

    A step changes one option, to whatever the grid has; the search ends where none is better.
    """
    tried: dict[KnnOptions, float] = {}

    def reached(options: KnnOptions) -> float:
        if options not in tried:
            found = evaluate(SessionKnn(sessions, options), asked)
            tried[options] = found[False].reciprocal
            _tell(_named(options), found)
        return tried[options]

    draw = Random(1)
    for options in (VS_KNN, S_KNN):
        reached(options)
    for _ in range(DRAWN):
        reached(KnnOptions(**{name: draw.choice(values) for name, values in GRID.items()}))
    best = max(tried, key=reached)
    while True:
        beside = [replace(best, **{name: value}) for name, values in GRID.items() for value in values]
        better = max(beside, key=reached)
        if reached(better) <= reached(best):
            break
        best = better
    print(f"best of {len(tried)}: {_named(best)}")


def _named(options: KnnOptions) -> str:
    return " ".join(f"{name}={value}" for name, value in asdict(options).items())


def _tell(name: str, reached: dict[bool, Reached]) -> None:
    figures = "   ".join(f"{one.hit_rate:.4f} {one.reciprocal:.4f}" for one in reached.values())
    print(f"{name:<60}   {figures}", flush=True)


def compare(train: Path, test: Path) -> None:
    """All methods on the test split."""
    clicks, asked = read_clicks(train), items_of(read_clicks(test))
    sessions = items_of(clicks)
    print(f"train {len(sessions):,} sessions, {sum(map(len, sessions)):,} clicks; test {len(asked):,} sessions")
    settings = SimilarSettings()
    methods: Sequence[tuple[str, Recommender]] = [
        ("viewed-with, last item", ViewedWith(clicks, settings, 1)),
        ("viewed-with, last 3 items", ViewedWith(clicks, settings, 3)),
        ("item-KNN (2016)", ItemKnn(sessions)),
        ("item-KNN, damping tuned", ItemKnn(sessions, damping=100)),
        ("SR (2018)", SequentialRules(sessions)),
        ("S-KNN (2018)", SessionKnn(sessions, S_KNN)),
        ("VS-KNN (2018)", SessionKnn(sessions, VS_KNN)),
    ]
    print(f"{'':<60}   {'new products':<17} any click")
    for name, method in methods:
        found = evaluate(method, asked)
        _tell(name, found)
    new, each = found[True].asked, found[False].asked
    print(f"predictions: {new:,} of new products, {each:,} of any click")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--tune", type=Path, nargs=2, metavar=("TRAIN", "VALIDATION"))
    arguments = parser.parse_args()
    if arguments.tune:
        tune(*arguments.tune)
    compare(arguments.train, arguments.test)


if __name__ == "__main__":
    main()
