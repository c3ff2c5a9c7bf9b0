"""`viewed-with` lists of click sessions that are all known beforehand."""

from collections import defaultdict

from benchmarks.session_baselines import Scores, Session
from benchmarks.session_clicks import Clicks
from state.similar.changes import messages
from state.similar.ledger import newest
from state.similar.message import read_message
from state.similar.row import ItemRow
from state.similar.score import candidates, neighbours
from state.similar.settings import VIEWED_WITH, SimilarSettings


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
