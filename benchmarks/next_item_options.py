"""Options of the methods of `benchmarks.next_item`, chosen on a day that is not the one they are measured on.

    python -m benchmarks.next_item_options TRAIN VALIDATION

The files are those of `benchmarks.next_item`: `yoochoose-clicks-100k_train_tr.txt` and `…_train_valid.txt`.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from random import Random

from benchmarks.session_baselines import ItemKnn, Session, SessionKnn
from benchmarks.session_clicks import Reached, evaluate, items_of, read_clicks
from benchmarks.viewed_with import ViewedWith
from serving.evaluation.session_options import S_KNN, VS_KNN_USUAL, KnnOptions
from state.similar.settings import DAY_MS, SimilarSettings

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
    """Options of VS-KNN: `DRAWN` of the grid at random, then from the best of them step by step.

    The best has the highest sum of HR@20 and MRR@20 of both questions: all four are told of. A step changes one option,
    to whatever the grid has; the search ends where none is better.
    """
    tried: dict[KnnOptions, float] = {}

    def reached(options: KnnOptions) -> float:
        if options not in tried:
            found = evaluate(SessionKnn(sessions, options), asked)
            tried[options] = sum(one.hit_rate + one.reciprocal for one in found.values())
            _tell(_named(options), found)
        return tried[options]

    draw = Random(1)
    for options in (VS_KNN_USUAL, S_KNN):
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("validation", type=Path)
    arguments = parser.parse_args()
    tune(arguments.train, arguments.validation)


if __name__ == "__main__":
    main()
