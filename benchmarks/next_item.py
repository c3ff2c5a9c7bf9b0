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
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

from benchmarks.session_baselines import (
    ItemKnn,
    Recommender,
    Scores,
    SequentialRules,
    Session,
    SessionKnn,
    VectorSessionKnn,
)
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


def evaluate(method: Recommender, sessions: Iterable[Session], *, new_only: bool) -> tuple[float, float, int]:
    """HR@20, MRR@20 and the number of predictions."""
    hits = asked = 0
    reciprocal = 0.0
    for session in sessions:
        for at in range(1, len(session)):
            seen = set(session[:at])
            if new_only and session[at] in seen:
                continue
            asked += 1
            scores = method.scores(session[:at])
            ranked = sorted((-score, item) for item, score in scores.items() if not (new_only and item in seen))[:TOP]
            rank = next((place for place, (_, item) in enumerate(ranked, 1) if item == session[at]), 0)
            if rank:
                hits += 1
                reciprocal += 1 / rank
    return hits / asked, reciprocal / asked, asked


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


def tune(train: Path, validation: Path) -> None:
    """Every choice of near, shrink and half-life, on the validation split."""
    clicks, asked = read_clicks(train), items_of(read_clicks(validation))
    print(f"{'near':<12}{'shrink':>7}{'half-life d':>12}   HR@20  MRR@20   (new products, last item's list)")
    for (name, near), shrink, days in product(NEARS.items(), (0, 1, 2, 5, 10, 20), (30,)):
        settings = replace(SimilarSettings(), near=near, viewed_shrink=shrink, viewed_half_life_ms=days * DAY_MS)
        hit_rate, reciprocal, _ = evaluate(ViewedWith(clicks, settings, 1), asked, new_only=True)
        print(f"{name:<12}{shrink:>7}{days:>12}  {hit_rate:.4f}  {reciprocal:.4f}", flush=True)
    for damping in (0, 20, 50, 100, 200):
        hit_rate, reciprocal, _ = evaluate(ItemKnn(items_of(clicks), damping), asked, new_only=True)
        print(f"{'item-KNN, damping':<19}{damping:>12}  {hit_rate:.4f}  {reciprocal:.4f}", flush=True)
    for days in (1, 2, 4, 8, 30):
        settings = replace(SimilarSettings(), viewed_half_life_ms=days * DAY_MS)
        hit_rate, reciprocal, _ = evaluate(ViewedWith(clicks, settings, 1), asked, new_only=True)
        print(f"{'default':<12}{settings.viewed_shrink:>7}{days:>12}  {hit_rate:.4f}  {reciprocal:.4f}", flush=True)


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
        ("S-KNN (2018)", SessionKnn(sessions)),
        ("V-SKNN (2018)", VectorSessionKnn(sessions)),
    ]
    print(f"{'':<28}{'new products':>16}{'':>8}{'any click':>16}")
    print(f"{'':<28}{'HR@20':>8}{'MRR@20':>8}{'':>8}{'HR@20':>8}{'MRR@20':>8}{'µs a list':>12}")
    for name, method in methods:
        new = evaluate(method, asked, new_only=True)
        started = time.perf_counter()
        each = evaluate(method, asked, new_only=False)
        microseconds = (time.perf_counter() - started) / each[2] * 1e6
        print(
            f"{name:<28}{new[0]:8.4f}{new[1]:8.4f}{'':>8}{each[0]:8.4f}{each[1]:8.4f}{microseconds:12.0f}", flush=True
        )
    print(f"predictions: {new[2]:,} of new products, {each[2]:,} of any click")


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
