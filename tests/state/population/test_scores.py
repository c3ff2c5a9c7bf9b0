"""The scores' model: restored, in any order, and on populations whose truth is known."""

from math import inf, nan, pi, sqrt
from random import Random

import numpy as np
import pytest
from numpy.typing import NDArray

from state.packing import pack
from state.population.calibration import Line
from state.population.labels import BUYS, LAPSES, Example
from state.population.reliability import logistic
from state.population.score_inputs import INPUTS, score_inputs, vectors
from state.population.score_learner import ScoreLearner
from state.population.score_settings import LearnerSettings, ScoreSettings
from state.population.score_version import Score, ScoreVersion
from state.population.scores import ScoreModel

DAY = 86_400_000
BIAS = INPUTS.index("bias")
ACTIVE = 8
Floats = NDArray[np.float64]


class Population:
    """Examples with a known probability: logistic in ACTIVE inputs, log odds normal around `offset`, by `spread`."""

    def __init__(self, seed: int, offset: float = -1.0, spread: float = 1.2) -> None:
        self.random = np.random.default_rng(seed)
        weights = self.random.normal(size=ACTIVE)
        self.weights = weights * spread / np.linalg.norm(weights)
        self.offset, self.spread = offset, spread

    def draw(self, count: int) -> tuple[Floats, Floats]:
        """Inputs, and the true probability of each."""
        inputs = np.zeros((count, len(INPUTS)))
        inputs[:, :ACTIVE] = self.random.normal(size=(count, ACTIVE))
        inputs[:, BIAS] = 1.0
        inputs = inputs.astype(np.float32).astype(np.float64)
        return inputs, 1 / (1 + np.exp(-(inputs[:, :ACTIVE] @ self.weights + self.offset)))

    def examples(self, count: int, day: int, target: int = BUYS, score: Score | None = None) -> list[Example]:
        inputs, truth = self.draw(count)
        came = self.random.random(count) < truth
        return [
            Example(
                day * DAY,
                f"c{at:05d}",
                target,
                bool(came[at]),
                vectors.packed(row),
                None if score is None else score.probability(row),
            )
            for at, row in enumerate(inputs.tolist())
        ]


def taught(population: Population, days: int, per_day: int) -> tuple[ScoreModel, ScoreVersion]:
    """A model that has heard so much, and said it beforehand."""
    model = ScoreModel(ScoreSettings(memory_half_life_ms=10**15))
    version = model.publish()
    for day in range(days):
        model.learn(population.examples(per_day, day, score=version.scores[BUYS]), day * DAY)
        version = model.publish()
    return model, version


def true_auc(said: Floats, truth: Floats) -> float:
    """Chance that who does is said more than who does not, by the true probabilities: no noise of outcomes."""
    order = np.argsort(said)
    up, down = truth[order], 1 - truth[order]
    below = np.concatenate([[0.0], np.cumsum(down)[:-1]])
    return float((up * below).sum() / (up.sum() * down.sum() - (up * down).sum()))


@pytest.fixture(scope="module")
def learnt() -> tuple[Population, ScoreVersion]:
    population = Population(1)
    return population, taught(population, 40, 300)[1]


class TestLearning:
    def test_a_known_model_is_found_again(self, learnt: tuple[Population, ScoreVersion]) -> None:
        """What is lost against the truth, in nats and in AUC, is what so many examples cannot tell.

        The best fit of d weights to T examples loses d / 2T nats on average (Wilks); a method that sees each example
        once may lose FOUR times as much. With KL the loss and f the density of the true probability at its
        highest, the AUC is lower than the best possible by f × KL / (π (1 − π)) at most: two are put in the
        wrong order only if they differ by less than their errors e and e', so the loss is at most
        E[(e + e')²] f / (2 π (1 − π)), where E[e²] <= KL / 2 (Pinsker).
        """
        population, version = learnt
        score = version.scores[BUYS]
        assert score is not None
        inputs, truth = population.draw(20_000)
        said = np.array([score.probability(row) for row in inputs.tolist()])
        lost = float(np.mean(truth * np.log(truth / said) + (1 - truth) * np.log((1 - truth) / (1 - said))))
        allowed = 4 * (ACTIVE + 1) / (2 * score.examples)
        assert lost <= allowed
        grid = np.linspace(0.001, 0.999, 999)
        odds = (np.log(grid / (1 - grid)) - population.offset) / population.spread
        density = float(np.max(np.exp(-(odds**2) / 2) / sqrt(2 * pi) / population.spread / grid / (1 - grid)))
        base = float(truth.mean())
        best, found = true_auc(truth, truth), true_auc(said, truth)
        assert best - density * allowed / (base * (1 - base)) <= found <= best
        assert best > 0.75

    def test_the_published_quality(self, learnt: tuple[Population, ScoreVersion]) -> None:
        """AUC, base rate and calibration error are those of the population, but for chance (four standard errors).

        A perfect forecast has a calibration error too: of n examples in a group, sqrt(2 p (1 − p) / (π n)) on average.
        """
        population, version = learnt
        score = version.scores[BUYS]
        assert score is not None
        quality = score.quality
        assert quality is not None
        _, truth = population.draw(100_000)
        base, best = float(truth.mean()), true_auc(truth, truth)
        assert quality.base_rate == pytest.approx(base, abs=4 * sqrt(base * (1 - base) / quality.examples))
        rarer = quality.examples * min(base, 1 - base)
        lost_early = 0.02  # versions of the first days knew less
        error = 4 * sqrt(best * (1 - best) / rarer) + quality.auc_error + lost_early
        assert quality.auc == pytest.approx(best, abs=error)
        by_chance = sqrt(2 * base * (1 - base) / pi * 15 / quality.examples)
        assert quality.ece <= 2 * by_chance + lost_early

    def test_a_rare_thing_is_said_to_be_rare(self) -> None:
        """Of 1 in 50, without weights for the rare class: the mean of what is said is the base rate."""
        population = Population(2, offset=-4.5)
        _, version = taught(population, 30, 300)
        score = version.scores[BUYS]
        assert score is not None
        inputs, truth = population.draw(5_000)
        said = np.array([score.probability(row) for row in inputs.tolist()])
        rate = float(truth.mean())
        heard = 4 * sqrt(rate / score.examples)  # four standard errors of the share that it has heard of
        assert rate < 0.03
        assert float(said.mean()) == pytest.approx(rate, abs=heard)
        assert true_auc(truth, truth) - true_auc(said, truth) < 0.03

    def test_a_population_that_changes_is_followed(self) -> None:
        """After everybody behaves the other way round, what was learnt turns round, too."""
        population = Population(3)
        model = ScoreModel(ScoreSettings())
        for day in range(20):
            model.learn(population.examples(100, day), day * DAY)
        population.weights = -population.weights
        inputs, truth = population.draw(3_000)
        for day in range(20, 60):
            model.learn(population.examples(100, day), day * DAY)
        score = model.publish().scores[BUYS]
        assert score is not None
        said = np.array([score.probability(row) for row in inputs.tolist()])
        assert true_auc(truth, truth) - true_auc(said, truth) < 0.03

    def test_a_memory_that_has_faded_lets_it_move_more(self) -> None:
        """Of two that know the same, the one that remembers a hundredth of its steps learns an example faster."""
        learner = ScoreLearner(LearnerSettings())
        *known, example = Population(11).examples(300, 0)
        for heard in known:
            learner.learn(vectors.unpacked(heard.inputs), heard.positive)
        faded = ScoreLearner(LearnerSettings(), learner.packed())
        faded.fade(1.0, 0.01)
        inputs = vectors.unpacked(example.inputs)
        before = learner.odds(inputs)
        for one in (learner, faded):
            one.learn(inputs, example.positive)
        assert abs(faded.odds(inputs) - before) > 2 * abs(learner.odds(inputs) - before)


class TestDeterminism:
    def test_a_restored_model_goes_on_the_same(self) -> None:
        """To the last bit of every number, from any moment."""
        population = Population(4)
        days = [population.examples(60, day) + population.examples(60, day, LAPSES) for day in range(12)]
        whole = ScoreModel(ScoreSettings())
        restored = ScoreModel(ScoreSettings())
        for day, examples in enumerate(days):
            whole.learn(examples, day * DAY)
            restored.learn(examples, day * DAY)
            assert whole.publish().packed() == restored.publish().packed()
            restored = ScoreModel(ScoreSettings(), restored.packed())
            assert restored.packed() == whole.packed()

    def test_the_order_within_an_interval_does_not_matter(self) -> None:
        """Nor does an example that comes twice."""
        examples = Population(5).examples(300, 0)
        shuffled = examples + examples[:50]
        Random(1).shuffle(shuffled)
        one, two = ScoreModel(ScoreSettings()), ScoreModel(ScoreSettings())
        assert one.learn(examples, DAY) == two.learn(shuffled, DAY) == 300
        assert one.packed() == two.packed()
        assert one.learn([], DAY) == 0

    def test_what_would_spoil_a_model_is_refused(self) -> None:
        """Numbers that are not finite, vectors of other programs, what is no probability."""
        model, (good,) = ScoreModel(ScoreSettings()), Population(5).examples(1, 0)
        model.learn([], 0)
        before = model.packed()
        width = len(INPUTS)
        for bad, why in [
            (good._replace(inputs=vectors.packed([nan] * width)), "not finite"),
            (good._replace(inputs=vectors.packed([inf] * width)), "not finite"),
            (good._replace(inputs=b"1234"), "a vector of 1 numbers"),
            (good._replace(said=nan), "no probability"),
        ]:
            with pytest.raises(ValueError, match=why):
                model.learn([bad], 0)
        assert model.packed() == before

    @pytest.mark.parametrize("name", ["half_life_ms", "memory_half_life_ms", "examples_min", "each_min"])
    def test_settings_that_cannot_be(self, name: str) -> None:
        with pytest.raises(ValueError, match=name):
            ScoreSettings(**{name: 0})
        with pytest.raises(ValueError, match="learning rate"):
            ScoreSettings(learner=LearnerSettings(learning_rate=0.0))

    def test_a_newer_state_is_refused(self) -> None:
        with pytest.raises(ValueError, match="newer program"):
            ScoreModel(ScoreSettings(), pack((99,)))

    def test_the_size_of_the_state(self) -> None:
        """However much was learnt."""
        model, version = taught(Population(6), 10, 200)
        assert len(model.packed()) < 12_000
        assert len(version.packed()) < 1_000


class TestScoreVersion:
    def test_it_says_what_river_says(self) -> None:
        """A plain sum of products is River's prediction, before calibration."""
        learner = ScoreLearner(LearnerSettings())
        population = Population(7)
        for example in population.examples(500, 0):
            learner.learn(vectors.unpacked(example.inputs), example.positive)
        inputs, _ = population.draw(50)
        for row in inputs.tolist():
            odds = sum(w * x for w, x in zip(learner.weights(), row, strict=True))
            assert logistic(odds) == pytest.approx(logistic(learner.odds(row)), rel=1e-9)

    def test_it_says_nothing_before_it_knows_enough(self) -> None:
        """Neither after few examples, nor as long as all had the same outcome."""
        model, population = ScoreModel(ScoreSettings()), Population(8)
        asked = {"orders_total": 1, "since_last_seen_ms": 5}
        assert model.publish().predict(asked) == {"buys_7d": None, "lapses_30d": None}
        model.learn(population.examples(199, 0), 0)
        model.learn([one._replace(positive=False) for one in population.examples(1_000, 0, LAPSES)], 0)
        assert model.publish().predict(asked) == {"buys_7d": None, "lapses_30d": None}
        model.learn(population.examples(1, 1), DAY)
        assert model.publish().predict(asked)["buys_7d"] is not None

    def test_who_is_not_asked_about_has_no_score(self) -> None:
        """Who never ordered does not lapse, who has lapsed does not do it again."""
        model = ScoreModel(ScoreSettings())
        model.learn(Population(9).examples(400, 0, LAPSES), 0)
        version = model.publish()
        assert version.predict({"orders_total": 1, "since_last_seen_ms": 30 * DAY - 1})["lapses_30d"] is not None
        assert version.predict({"orders_total": 1, "since_last_seen_ms": 30 * DAY})["lapses_30d"] is None
        assert version.predict({"orders_total": 0, "since_last_seen_ms": 5})["lapses_30d"] is None
        assert version.predict({})["lapses_30d"] is None

    @pytest.mark.parametrize("way", ["platt", "beta", "isotonic"])
    def test_packing(self, way: str) -> None:
        """The same numbers, so the same probabilities."""
        model, population = ScoreModel(ScoreSettings(calibration=way)), Population(10)  # type: ignore[arg-type]
        model.learn(population.examples(400, 0), 0)
        version = model.publish()
        model.learn(population.examples(400, 1, score=version.scores[BUYS]), DAY)
        version = model.publish()
        again = ScoreVersion.unpacked(version.packed())
        assert again == version
        values = {"views_7d": 3, "recency_ms": 5 * DAY}
        assert again.predict(values) == version.predict(values)
        assert again.scores[BUYS] is not None
        assert again.scores[BUYS].probability(score_inputs(values)) == again.predict(values)["buys_7d"]

    def test_versions_of_other_programs_are_refused(self) -> None:
        with pytest.raises(ValueError, match="newer program"):
            ScoreVersion.unpacked(pack((99,)))
        other = ScoreVersion(1, 0, (Score((1.0, 2.0), Line(), 5, None), None))
        with pytest.raises(ValueError, match="a score of 2 inputs"):
            ScoreVersion.unpacked(other.packed())

    def test_numbers_go_up(self) -> None:
        model = ScoreModel(ScoreSettings())
        assert [model.publish().number for _ in range(3)] == [1, 2, 3]
