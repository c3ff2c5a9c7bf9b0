"""How well the next product of a session is foretold, by what is served and by published neighbourhood methods.

    python -m benchmarks.next_item TRAIN TEST

The files hold clicks: a header with SessionId, ItemId, Time (seconds), separated by tabs, such as
`yoochoose-clicks-100k_train_full.txt` and `…_test.txt` of the `session-rec` framework (rn5l/session-rec on GitHub,
data/rsc15/prepared): a sample of the YOOCHOOSE data set of the RecSys Challenge 2015, by YOOCHOOSE GmbH, licensed CC
BY-NC-ND 4.0. It is not part of this project, and nothing is downloaded.

Two questions of each click of a test session but the first: the next product not yet seen in the session ("new"), and
the next click whatever it is ("any").

* **Replayed**: `serving.evaluation`, which is `segmill evaluate`, through the code of the live job, everybody learning
  each test click once it was asked; and with nothing of the test learned, as papers split their data.
* **Lists**: the `viewed-with` lists alone, of all training sessions at once, with plain methods beside them.

Options were chosen on the last day of the training sessions (`benchmarks.next_item_options`), not on the test.
"""

import argparse
import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.results import Results
from benchmarks.session_baselines import ItemKnn, Recommender, SequentialRules, SessionKnn
from benchmarks.session_clicks import evaluate, items_of, read_clicks
from benchmarks.viewed_with import ViewedWith
from jobs.rehearsal import decoded
from schemas.settings import Settings
from serving.evaluation import baselines
from serving.evaluation.clicks import click_events
from serving.evaluation.measures import Interval, difference, report
from serving.evaluation.replay import ANY, NEW, Asked, Event, Replay
from serving.evaluation.session_options import S_KNN, VS_KNN, VS_KNN_USUAL
from state.rules.ruleset import load_rules
from state.similar.settings import SimilarSettings

USUAL = "VS-KNN, usual options"
COMPARED = ("VS-KNN (2018)", USUAL)
MEASURES = {
    "hit_rate": "HR@20", "reciprocal_rank": "MRR@20", "ndcg": "NDCG@20", "coverage": "coverage",
    "popularity": "popularity", "gini": "Gini",
}  # fmt: skip
FIRST, LATER = ("hit_rate", "reciprocal_rank"), ("ndcg", "coverage", "popularity", "gini")


def replayed(train: Path, test: Path, *, learns: bool) -> tuple[Replay, float]:
    """A replay, asked about the test file, and how long it took."""
    settings, rejected = Settings(), Counter[str]()
    events = [[Event(*event) for event in decoded(click_events(path), settings, rejected)] for path in (train, test)]
    if rejected:
        raise SystemExit(f"not all clicks are valid events: {dict(rejected)}")
    from_ms = min(event.fact.time_ms for event in events[1])
    replay = Replay(
        settings, load_rules(), Asked(from_ms=from_ms, until_ms=None if learns else from_ms),
        more={USUAL: baselines.SessionKnn(VS_KNN_USUAL)},
    )  # fmt: skip
    started = time.perf_counter()
    asyncio.run(replay.run(sorted((event for part in events for event in part), key=lambda event: event.fact.time_ms)))
    return replay, time.perf_counter() - started


class Measured:
    """The rows of a replay."""

    def __init__(self, results: Results, replay: Replay, name: str) -> None:
        self._results, self._replay, self._name = results, replay, name
        self._reports = {
            question: {method: report(tally, replay.popularity) for method, tally in replay.tallies[question].items()}
            for question in (NEW, ANY)
        }

    def show(self, measures: Sequence[str], methods: Sequence[str] = ()) -> None:
        """Of these methods; none are all of them."""
        for measure in measures:
            for question, reports in self._reports.items():
                for method in methods or reports:
                    self._add(f"{MEASURES[measure]}, {question}: {method}", getattr(reports[method], measure))

    def compare(self, method: str, other: str) -> None:
        """What one has more than another, question by question."""
        for question, tallies in self._replay.tallies.items():
            found = difference(tallies[method], tallies[other])
            for measure in FIRST:
                self._add(f"{MEASURES[measure]}, {question}: {method} − {other}", getattr(found, measure))

    def _add(self, name: str, found: Interval) -> None:
        unit = f"%, 95 % interval {100 * found.low:.1f} to {100 * found.high:.1f}"
        self._results.add(f"{self._name}, {name}", unit, 100 * found.mean)


def lists(results: Results, train: Path, test: Path) -> None:
    """The published lists alone."""
    clicks, asked = read_clicks(train), items_of(read_clicks(test))
    sessions = items_of(clicks)
    settings = SimilarSettings()
    methods: Sequence[tuple[str, Recommender]] = [
        ("viewed-with, last item", ViewedWith(clicks, settings, 1)),
        ("viewed-with, last 3 items", ViewedWith(clicks, settings, 3)),
        ("item-KNN (2016)", ItemKnn(sessions)),
        ("item-KNN, damping chosen", ItemKnn(sessions, damping=100)),
        ("SR (2018)", SequentialRules(sessions)),
        ("S-KNN (2018)", SessionKnn(sessions, S_KNN)),
        (COMPARED[0], SessionKnn(sessions, VS_KNN)),
        (USUAL, SessionKnn(sessions, VS_KNN_USUAL)),
    ]
    for name, method in methods:
        for new, found in evaluate(method, asked).items():
            question = NEW if new else ANY
            results.add(f"lists, HR@20, {question}: {name}", "%", 100 * found.hit_rate)
            results.add(f"lists, MRR@20, {question}: {name}", "%", 100 * found.reciprocal)


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    arguments = parser.parse_args()
    files = {name: getattr(arguments, name) for name in ("train", "test")}
    options = {f"{name} sha256": hashlib.sha256(path.read_bytes()).hexdigest()[:16] for name, path in files.items()}
    results = Results("next_item", "Recommendations: the next product of a click session", options)
    learning, took_s = replayed(**files, learns=True)
    measured = Measured(results, learning, "learning on")
    measured.show(FIRST)
    for other in COMPARED:
        measured.compare("session", other)
    frozen = Measured(results, replayed(**files, learns=False)[0], "test not learned")
    frozen.show(FIRST, ("session", *COMPARED))
    frozen.compare("session", COMPARED[0])
    results.add("learning on: the whole replay", "s", took_s)
    measured.show(LATER)
    frozen.show(LATER, ("session", *COMPARED))
    lists(results, **files)
    asked = {question: len(learning.tallies[question]["session"].ranks) for question in (NEW, ANY)}
    chosen = ", ".join(f"{name} {value}" for name, value in asdict(VS_KNN).items())
    results.notes += [
        f"{asked[NEW]:,} questions of new items, {asked[ANY]:,} of any. Popularity is a mean place among all items: 0",
        f"is the most popular one; a Gini of 0 is even. Intervals draw visitors. VS-KNN (2018): {chosen}.",
    ]
    results.finish()


if __name__ == "__main__":
    main()
