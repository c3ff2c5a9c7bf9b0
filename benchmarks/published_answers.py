"""Whether VS-KNN, as it is written here, answers what that of its authors answers.

    python -m benchmarks.published_answers TRAIN TEST ANSWERS

`session-rec` (rn5l/session-rec on GitHub) has recommendations of its own beside the clicks that `benchmarks.next_item`
reads: data/rsc15/recommendations/recoms_rsc15_100k_vsknn.csv, for the clicks of the first 100 test sessions, by the
options of its conf/example_next.yml. (`SessionId;Position;Recommendations;Scores`, the last two with commas.)
"""

import argparse
import csv
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

from benchmarks.session_baselines import Session, SessionKnn
from benchmarks.session_clicks import TOP, items_of, read_clicks
from serving.evaluation.session_options import KnnOptions

OPTIONS = KnnOptions(k=500, sample=5_000, similarity="vec", weighting="quadratic", weighting_score="div", idf=5.0)


def published(path: Path) -> Iterator[tuple[str, int, list[str]]]:
    """(session, place of the last click that is known, from 0, the first `TOP` items with a score)."""
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines, delimiter=";"):
            scored = zip(row["Recommendations"].split(","), map(float, row["Scores"].split(",")), strict=True)
            yield row["SessionId"], int(row["Position"]), [item for item, score in scored if score > 0][:TOP]


def main() -> None:
    """Compare, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("train", "test", "answers"):
        parser.add_argument(name, type=Path)
    arguments = parser.parse_args()
    method = SessionKnn(items_of(read_clicks(arguments.train)), OPTIONS)
    sessions: dict[str, Session] = {
        str(clicks[0][1]): [click[2] for click in clicks] for clicks in read_clicks(arguments.test)
    }
    reciprocal: defaultdict[str, list[float]] = defaultdict(list)
    shared, first = [], []
    for session, place, theirs in published(arguments.answers):
        so_far, later = sessions[session][: place + 1], sessions[session][place + 1 :]
        if not later:
            continue
        ranked = sorted((-score, item) for item, score in method.scores(so_far).items())
        ours = [item for _, item in ranked[:TOP]]
        for name, items in (("theirs", theirs), ("ours", ours)):
            reciprocal[name].append(1 / (1 + items.index(later[0])) if later[0] in items else 0.0)
        if theirs:
            shared.append(len({*theirs} & {*ours}) / len(theirs))
            first.append(theirs[:1] == ours[:1])
    asked = len(reciprocal["ours"])
    print(f"{asked} questions: {mean(shared):.3f} of their items are ours, {mean(first):.3f} of the first ones")
    for name, values in reciprocal.items():
        print(f"{name}: HR@{TOP} {mean(value > 0 for value in values):.3f}, MRR@{TOP} {mean(values):.3f}")


if __name__ == "__main__":
    main()
