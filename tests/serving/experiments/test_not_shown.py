"""What was asked of an experiment and is not there: told in one place, for the command and over HTTP."""

import pytest

from schemas.profiles import pack_versioned
from schemas.variant_label import Arm
from serving.experiments.definitions import Experiments
from serving.experiments.standing import NotShown, standing
from serving.experiments.stored import Stored, unpack_stored
from state.experiments.logic import body
from state.experiments.sums import Outcome
from state.experiments.tally import Tally
from state.experiments.told import Told


def stored(*shown: tuple[str, tuple[str, ...]]) -> Stored:
    """Of a customer for each (variant, segments)."""
    tally = Tally()
    for variant, segments in shown:
        tally.take(None, Told(Arm("x", variant, 0, ""), segments, False, Outcome(1, 0, 0, 0)))
    found = unpack_stored(pack_versioned(1, 7, body(tally)))
    assert found is not None
    return found


def test_who_is_there_is_reported() -> None:
    """The segment, and in it the variant."""
    found = standing("x", stored(("a", ("new",)), ("b", ())), Experiments(), segment="new", control="a")
    assert (found.segment, found.control, found.customers) == ("new", "a", 1)


@pytest.mark.parametrize(
    ("segment", "control", "part", "there"),
    [
        ("old", None, "segment", "new"),
        ("", None, "segment", "new"),
        (None, "c", "variant", "a, b"),
        ("new", "b", "variant", "a"),
        ("old", "c", "segment", "new"),
    ],
)
def test_who_is_not(segment: str | None, control: str | None, part: str, there: str) -> None:
    """A variant that others were shown, but nobody of the segment, is not there either."""
    with pytest.raises(NotShown) as raised:
        standing("x", stored(("a", ("new",)), ("b", ())), Experiments(), segment=segment, control=control)
    assert (raised.value.part, raised.value.there) == (part, there)
    assert str(raised.value).endswith(f"there are {there}")


def test_thousands_are_not_all_named() -> None:
    """Whoever may send labels makes up as many as they like."""
    many = stored(*((f"v{number:03}", ()) for number in range(300)))
    with pytest.raises(NotShown) as raised:
        standing("x", many, Experiments(), control="none")
    assert raised.value.there.startswith("v000, v001, ")
    assert raised.value.there.endswith(", v019 and 280 more")
    with pytest.raises(NotShown, match=r"there are none$"):
        standing("x", many, Experiments(), segment="new")
