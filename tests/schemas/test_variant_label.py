"""What the `variant` of a recommendation may say."""

import pytest

from schemas.variant_label import MOST_CHARACTERS, Arm, arms_of, label_of


class TestLabels:
    @pytest.mark.parametrize(
        "arms",
        [
            (Arm("blend", "seed", 2, "50:50"),),
            (Arm("blend", "seed", 2, "50:50"), Arm("page", "wide+red", 1, "1:2:997"), Arm("old.one", "b")),
        ],
    )
    def test_are_read_as_they_are_written(self, arms: tuple[Arm, ...]) -> None:
        label = label_of(arms)
        assert label is not None
        assert arms_of(label) == arms

    def test_of_nothing_there_is_none(self) -> None:
        assert label_of(()) is None

    def test_a_bare_word_is_of_the_default_experiment(self) -> None:
        assert arms_of("a") == (Arm("default", "a"),)

    def test_an_experiment_counts_once(self) -> None:
        assert arms_of("x=a,x=b,y=c") == (Arm("x", "a"), Arm("y", "c"))

    @pytest.mark.parametrize(
        "label",
        ["", " ", "a b", "x=", "=a", "x=a,", "x=a@1", "x=a@0/1:1", "x=a@3/1:1", "x=a@1/", "x=a@1/1:", "x=a@1/-1",
         "x=a@1/1.5:2", "é", "x=a\n", "x==a", "+a", "a" * 65, "x=a@1/" + "1" * 10, "x=a@1/0:0", "x=a@1/1:0", "x=a@1/01",
         ",".join(f"e{n}=v" for n in range(17)),
         ",".join(f"e{n}=v@1/{'1:' * 90}1" for n in range(12))],
    )  # fmt: skip
    def test_what_does_not_fit_is_none(self, label: str) -> None:
        assert arms_of(label) == ()

    def test_longer_ones_are_not_looked_at(self) -> None:
        fits = "x=" + "a" * 64
        assert arms_of(fits)
        assert arms_of(",".join([fits] * (MOST_CHARACTERS // 66))) == ()

    def test_shares_as_numbers(self) -> None:
        assert Arm("x", "a", 1, "1:20:300").parts == (1, 20, 300)
        assert Arm("x", "a").parts == ()
