"""The file of experiments: what it means, and what is wrong with it, line by line."""

import re

import pytest

from serving.experiments.choice import Chooser
from serving.experiments.definitions import Experiments
from serving.experiments.document import parse_experiments
from serving.ranking.settings import RankingSettings
from state.rules.errors import RuleError

FILE = """\
[holdout]
share = 0.1

[experiment.blend]
description = "Is the seed formula better?"
group = "ranking"
traffic = [0.0, 0.5]

[experiment.blend.variant.control]
share = 50

[experiment.blend.variant.seed]
share = 50
strategy = "seed"
ranking = { diversity = 0.3 }

[experiment.again]
group = "ranking"
traffic = [0.5, 1.0]
salt = "2026"
from = 2026-03-01T00:00:00Z
until = 2026-04-01T00:00:00Z

[experiment.again.variant.control]
share = 1
[experiment.again.variant.session]
share = 3
strategy = "session"

[experiment.page.factor.size.small]
share = 1
parameters = { columns = 3 }
[experiment.page.factor.size.large]
share = 1
parameters = { columns = 6, since = 2026-03-01T00:00:00Z }
[experiment.page.factor.order.fresh]
share = 1
ranking = { recent_views = 3 }
[experiment.page.factor.order.all]
share = 1
parameters = { order = "all" }
"""
AB = "[experiment.x.variant]\na = {share = 1}\nb = {share = 1}\n"
B = "[experiment.x.variant.b]\nshare = 1\n"
IN_MARCH_MS = 1_772_445_600_000


def problems(text: str) -> list[str]:
    with pytest.raises(RuleError) as caught:
        parse_experiments(text)
    return [f"{one.line}: {one.message}" for one in caught.value.problems]


class TestMeaning:
    def test_of_everything(self) -> None:
        known = parse_experiments(FILE)
        blend, again, page = known.experiments
        assert (known.holdout_share, known.holdout_salt) == (0.1, "holdout")
        assert (blend.variants, blend.shares, blend.traffic, blend.salt) == (
            ("control", "seed"), "1:1", (0.0, 0.5), "blend",
        )  # fmt: skip
        assert blend.settings("control") == {}
        assert blend.settings("seed") == {"strategy": "seed", "diversity": 0.3}
        assert (again.salt, again.shares, again.traffic_salt) == ("2026", "1:3", blend.traffic_salt)
        assert [again.runs(ms) for ms in (IN_MARCH_MS, IN_MARCH_MS + 31 * 86_400_000)] == [True, False]
        assert page.variants == ("small+fresh", "small+all", "large+fresh", "large+all")
        assert page.settings("large+fresh") == {"recent_views": 3}
        assert page.parameters("large+all") == {"columns": 6, "since": "2026-03-01T00:00:00Z", "order": "all"}

    def test_of_what_was_planned(self) -> None:
        """By name, that of the holdout too; of what is not defined, or says nothing, nothing."""
        known = parse_experiments(
            FILE.replace("share = 0.1\n", "share = 0.1\nplanned_customers_per_variant = 7_000\n", 1).replace(
                'salt = "2026"\n', 'salt = "2026"\nplanned_customers_per_variant = 12_345\n'
            )
        )
        names = ("holdout", "again", "blend", "none")
        assert [known.planned(name) for name in names] == [7_000, 12_345, None, None]

    def test_of_a_version(self) -> None:
        """It is that of the text."""
        one, other = parse_experiments(FILE), parse_experiments(FILE + "# more\n")
        assert one.version != other.version
        assert one.experiments == other.experiments

    def test_a_holdout_alone(self) -> None:
        assert parse_experiments("[holdout]\nshare = 0.05\n").experiments == ()


class TestFaults:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("", ["has no experiment"]),
            ("[holdout]\n", ["1: needs a share"]),
            ("[holdout]\nshare = 0.9\n", ["2: .*share must be a number from 0.0 to 0.5"]),
            ("[experiment.a b]\n", ["is no TOML"]),
            ('[experiment."a b".variant]\na = {share = 1}\nb = {share = 1}\n', ['"a b": is no name']),
            ("[experiment.holdout.variant.a]\nshare=1\n[experiment.holdout.variant.b]\nshare=1\n", ["is no name"]),
            ("[experiment.x]\n", ["1: .*needs either variants"]),
            ("[experiment.x.variant.a]\nshare = 1\n", ["needs two of them"]),
            ("[experiment.x.variant.a]\nshare = 0\n[experiment.x.variant.b]\n", ["2: .*from 1", "3: .*needs a share"]),
            ("[experiment.x.variant.a]\nshare=1\nshar=2\n" + B, ['3: .*unknown key "shar"']),
            ('[experiment.x.variant.a]\nshare=1\nstrategy="sead"\n' + B, ["3: .*sead"]),
            ("[experiment.x.variant.a]\nshare=1\nranking={diversity=2}\n" + B, ["3: .*diversity"]),
            ("[experiment.x.variant.a]\nshare=1\nranking={rules_file='f'}\n" + B, ["server's"]),
            ("[experiment.x]\ntraffic=1.5\n" + AB, ["2: .*traffic must be"]),
            ("[experiment.x]\nplanned_customers_per_variant=0\n" + AB, ["2: .*a whole number from 1 to"]),
            ("[experiment.x]\nplanned_customers_per_variant=1.5\n" + AB, ["2: .*a whole number from 1 to"]),
            ("[experiment.x]\ntraffic=[0.5,0.5]\n" + AB, ["2: .*traffic must be"]),
            ("[experiment.x.factor.f]\na={share=1}\nb={share=1}\n", ["two factors or more"]),
            ("[experiment.x]\nfrom=2026-03-02\n" + AB, ["2: .*a time with a zone"]),
            ("[experiment.x]\nfrom=2026-03-02T00:00:00Z\nuntil=2026-03-02T00:00:00Z\n" + AB, ["3: .*later than from"]),
        ],
    )  # fmt: skip
    def test_are_found(self, text: str, expected: list[str]) -> None:
        found = problems(text)
        assert len(found) == len(expected), found
        assert all(re.search(pattern, one) for pattern, one in zip(expected, found, strict=True)), found

    def test_slices_of_a_group_that_overlap(self) -> None:
        (found,) = problems(FILE.replace("traffic = [0.5, 1.0]", "traffic = [0.4, 1.0]").replace("from = ", "# "))
        assert 'overlaps with "blend" of the same group: [0.0, 0.5] and [0.4, 1.0]' in found

    def test_but_not_at_different_times(self) -> None:
        text = FILE.replace("traffic = [0.5, 1.0]", "traffic = [0.0, 0.5]")
        parse_experiments(text.replace('group = "ranking"\ntraffic = [0.0, 0.5]\n\n', 'group = "ranking"\n'
                                       "traffic = [0.0, 0.5]\nuntil = 2026-03-01T00:00:00Z\n\n", 1))  # fmt: skip

    @pytest.mark.parametrize(("experiments", "variants", "share"), [(12, 60, 7), (1, 3, 3_333)], ids=["many", "fine"])
    def test_labels_that_nobody_could_read(self, experiments: int, variants: int, share: int) -> None:
        """Too long altogether, or shares of combinations with too many digits."""
        names = [f"v{number}" for number in range(variants)]
        if experiments > 1:
            text = "".join(f"[experiment.e{e}.variant]\n" + "".join(f"{name} = {{ share = {share + n} }}\n"
                           for n, name in enumerate(names)) for e in range(experiments))  # fmt: skip
        else:
            text = "".join(f"[experiment.e.factor.{name}]\na = {{ share = {share} }}\nb = {{ share = 6667 }}\n"
                           for name in names)  # fmt: skip
        (found,) = problems(text)
        assert "of all together are too long" in found

    def test_two_with_one_salt(self) -> None:
        """Whoever got the first variant of one would get the first of the other; unless one ends before."""
        variants = "[experiment.{0}.variant]\na = {{share = 1}}\nb = {{share = 1}}\n"
        ends, begins = "until = 2026-03-01T00:00:00Z\n", "from = 2026-03-01T00:00:00Z\n"
        text = "[experiment.x]\n{1}" + variants.format("x") + '[experiment.y]\nsalt = "x"\n{0}' + variants.format("y")
        (found,) = problems(text.replace("{0}", "").replace("{1}", ""))
        assert 'has the salt of "x"' in found
        assert parse_experiments(text.replace("{0}", begins).replace("{1}", ends)).named("y") is not None

    @pytest.mark.parametrize("salt", ["traffic:x", "x/variant"])
    def test_salts_that_could_be_those_of_another_hash(self, salt: str) -> None:
        (found,) = problems(f'[holdout]\nshare = 0.05\nsalt = "{salt}"\n[experiment.x]\n' + AB)
        assert "salt must not contain" in found

    def test_two_that_change_the_same(self) -> None:
        (found,) = problems(FILE.replace('group = "ranking"\n', "", 1))
        assert 'changes strategy, as "blend" does' in found


class TestChoosing:
    def test_the_ranking_of_a_variant(self) -> None:
        """And the label that goes with it; what the variant does not change is the server's."""
        chooser = Chooser(parse_experiments(FILE), RankingSettings(new_days=7))
        seen = {}
        for number in range(300):
            label, ranking = chooser.choose(f"c{number}", IN_MARCH_MS, strategy_given=False)
            assert label is not None
            seen[label] = ranking
            assert ("blend=seed" in label) == (ranking.strategy == "seed") == (ranking.diversity == 0.3)
            assert ("again=session" in label) == (ranking.strategy == "session")
            assert ("+fresh" in label) == (ranking.recent_views == 3)
            assert ranking.new_days == 7
        assert len(seen) == 1 + (2 + 2) * 4

    def test_a_request_that_names_a_strategy_is_in_no_experiment_with_one(self) -> None:
        chooser = Chooser(parse_experiments(FILE), RankingSettings())
        labels = [chooser.choose(f"c{number}", IN_MARCH_MS, strategy_given=True).label or "" for number in range(100)]
        assert not any("blend" in label or "again" in label for label in labels)
        assert any("page=" in label for label in labels)

    def test_what_pages_vary_by_themselves_takes_no_memory(self) -> None:
        text = "".join(f"[experiment.e{n}.variant]\na = {{ share = 1 }}\nb = {{ share = 1 }}\n" for n in range(9))
        chooser = Chooser(parse_experiments(text), RankingSettings())
        rankings = {id(chooser.choose(f"c{number}", 0, strategy_given=False).ranking) for number in range(500)}
        assert len(rankings) == 1

    def test_without_a_file(self) -> None:
        assert Chooser(Experiments(), RankingSettings()).choose("c", 0, strategy_given=False) == (
            None,
            RankingSettings(),
        )
