"""What is made of other values: never older than it may be, never made for nothing."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec

import pytest

from serving.derived import AGAIN_S, LATELY_S, LONGEST_PAUSE_S, OVERDUE_S, SHARE, Depends, Derived, NotMadeError

A_MOMENT_S, LONG_S = 0.01, 5.0
P = ParamSpec("P")


def in_a_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """A test that is a coroutine."""

    @wraps(test)
    def run(*values: P.args, **named: P.kwargs) -> None:
        asyncio.run(test(*values, **named))

    return run


class World:
    """Numbers by key; what is made for a name is the sum of those whose key begins so."""

    def __init__(self, most: int = 100) -> None:
        self.numbers = {"a1": 1, "a2": 2, "b1": 10}
        self.now_s = 0.0
        self.takes_s = 0.0
        self.broken = False
        self.made: Counter[str] = Counter()
        self.gate: asyncio.Event | None = None
        self.derived = Derived(self.make, most, lambda: self.now_s)

    async def make(self, name: str, depends: Depends) -> tuple[int, bool]:
        """The sum, each number read with a pause before it."""
        self.made[name] += 1
        found = 0
        for key in [one for one in self.numbers if one.startswith(name)]:
            depends([key])
            found += self.numbers[key]
            if self.gate is not None:
                await self.gate.wait()
            await asyncio.sleep(0)
        self.now_s += self.takes_s
        return (-1, False) if self.broken else (found, True)

    def set(self, key: str, number: int) -> None:
        """And say so."""
        self.numbers[key] = number
        self.derived.changed([key])

    async def rest(self) -> None:
        """Until nothing is under way."""
        for _ in range(20):
            await asyncio.sleep(0)


@in_a_loop
async def test_made_once_until_something_changes() -> None:
    world = World()
    assert world.derived.at_hand("a") is None
    assert await asyncio.gather(*(world.derived.value("a", LONG_S) for _ in range(5))) == [(3, True)] * 5
    world.set("b1", 11)
    world.now_s = 1_000.0
    assert world.derived.at_hand("a") == 3
    await world.rest()
    assert world.made == {"a": 1}


@in_a_loop
async def test_the_old_one_serves_while_a_new_one_is_made() -> None:
    world = World()
    await world.derived.value("a", LONG_S)
    world.set("a1", 5)
    assert world.derived.at_hand("a") == 3
    await world.rest()
    assert world.made["a"] == 1  # it was made just now
    world.now_s += AGAIN_S
    world.gate = asyncio.Event()
    assert [world.derived.at_hand("a"), await world.derived.value("a", LONG_S)] == [3, (3, True)]
    await world.rest()
    world.set("a2", 7)  # while the new one is made, perhaps of the 2
    world.gate.set()
    await world.rest()
    assert world.made["a"] == 2
    world.now_s += AGAIN_S
    world.derived.at_hand("a")
    await world.rest()
    assert world.derived.at_hand("a") == 12


@in_a_loop
async def test_where_nobody_has_asked_for_long_the_next_one_waits() -> None:
    world = World()
    await world.derived.value("a", LONG_S)
    world.set("a1", 5)
    world.now_s += AGAIN_S + OVERDUE_S + A_MOMENT_S
    assert world.derived.at_hand("a") is None
    assert await world.derived.value("a", LONG_S) == (7, True)


@in_a_loop
async def test_what_takes_long_is_made_less_often() -> None:
    world = World()
    world.takes_s = 0.1
    await world.derived.value("a", LONG_S)
    world.set("a1", 5)
    world.now_s += SHARE * world.takes_s - A_MOMENT_S
    world.derived.at_hand("a")
    await world.rest()
    assert world.made["a"] == 1
    world.now_s += 2 * A_MOMENT_S
    world.derived.at_hand("a")
    await world.rest()
    assert (world.made["a"], world.derived.at_hand("a")) == (2, 7)
    world.takes_s = 100.0
    world.set("a1", 6)
    world.now_s += LONGEST_PAUSE_S
    await world.derived.value("a", LONG_S)
    world.set("a1", 7)
    world.now_s += LONGEST_PAUSE_S + OVERDUE_S + A_MOMENT_S
    assert await world.derived.value("a", LONG_S) == (9, True)


@in_a_loop
async def test_many_that_take_long_have_their_turns() -> None:
    """Each as often as there is time for all of them; those that nobody has asked for lately need none."""
    world = World()
    world.takes_s = 0.01
    for number in range(100):
        await world.derived.value(f"n{number}", LONG_S)
    await world.derived.value("a", LONG_S)
    world.set("a1", 5)
    world.now_s += 100 * world.takes_s * SHARE
    assert world.derived.at_hand("a") == 3
    await world.rest()
    assert world.made["a"] == 1
    world.now_s += world.takes_s * SHARE
    world.derived.at_hand("a")
    await world.rest()
    assert (world.made["a"], world.derived.at_hand("a")) == (2, 7)
    world.now_s += 2 * LONGEST_PAUSE_S
    world.set("a1", 6)
    await world.derived.value("a", LONG_S)
    world.set("a1", 7)
    world.now_s += AGAIN_S
    world.derived.at_hand("a")
    await world.rest()
    assert world.derived.at_hand("a") == 9


@in_a_loop
async def test_what_cannot_be_made_leaves_what_was_and_says_so() -> None:
    """What was made before serves if nothing is known to be wrong with it, else what could be read of it."""
    world = World()
    world.broken = True
    for _ in range(3):
        assert await world.derived.value("a", LONG_S) == (-1, False)
    assert world.made["a"] == 1  # it has just failed: not at once again
    world.broken = False
    world.now_s += AGAIN_S
    assert await world.derived.value("a", LONG_S) == (3, True)
    world.broken = True
    world.derived.lost_track()
    world.now_s += AGAIN_S
    assert world.derived.at_hand("a") == 3
    await world.rest()
    assert world.derived.at_hand("a") is None
    assert await world.derived.value("a", LONG_S) == (3, False)
    assert world.made["a"] == 3
    world.set("a1", 5)
    assert world.derived.at_hand("a") is None
    with pytest.raises(NotMadeError):  # 3 is known to be wrong
        await world.derived.value("a", LONG_S)
    world.now_s += AGAIN_S
    assert await world.derived.value("a", LONG_S) == (-1, False)
    world.broken = False
    world.now_s += 2 * AGAIN_S - A_MOMENT_S
    assert await world.derived.value("a", LONG_S) == (-1, False)  # after two failures in a row twice as long
    world.now_s += 2 * A_MOMENT_S
    assert await world.derived.value("a", LONG_S) == (7, True)


@in_a_loop
async def test_what_was_wrong_before_track_was_lost_is_made_at_once() -> None:
    world = World()
    world.takes_s = 1.0
    await world.derived.value("a", LONG_S)
    world.set("a1", 5)
    world.broken = True
    world.derived.lost_track()
    assert world.derived.at_hand("a") is None
    world.gate = asyncio.Event()
    for _ in range(3):
        with pytest.raises(NotMadeError):
            await world.derived.value("a", A_MOMENT_S)
    world.gate.set()
    assert await world.derived.value("a", LONG_S) == (-1, False)


@in_a_loop
async def test_nobody_waits_longer_than_said() -> None:
    """And what was begun goes on: the next one has it."""
    world = World()
    world.gate = asyncio.Event()
    with pytest.raises(NotMadeError):
        await world.derived.value("a", A_MOMENT_S)
    world.gate.set()
    assert await world.derived.value("a", LONG_S) == (3, True)
    assert world.made["a"] == 1
    world.derived.lost_track()
    world.now_s += AGAIN_S + OVERDUE_S + A_MOMENT_S
    world.gate.clear()
    found = await asyncio.gather(*(world.derived.value("a", A_MOMENT_S) for _ in range(3)))
    assert found == [(3, True)] * 3  # it was right a moment ago
    world.now_s += LATELY_S
    found = await asyncio.gather(*(world.derived.value("a", A_MOMENT_S) for _ in range(3)))
    assert found == [(3, False)] * 3  # nobody is told that it is right
    world.set("a1", 5)
    with pytest.raises(NotMadeError):  # and this is known to be wrong
        await world.derived.value("a", A_MOMENT_S)
    world.gate.set()
    await world.rest()


@in_a_loop
async def test_what_has_only_just_changed_need_not_be_waited_for() -> None:
    """However long ago it was made."""
    world = World()
    await world.derived.value("a", LONG_S)
    world.now_s += 1_000.0
    world.set("a1", 5)
    assert world.derived.at_hand("a") == 3
    await world.rest()
    assert world.derived.at_hand("a") == 7


@in_a_loop
async def test_an_error_is_for_those_who_have_nothing_else() -> None:
    async def make(name: str, depends: Depends) -> tuple[int, bool]:
        depends(["key"])
        if errors:
            raise errors.pop()
        return 1, True

    errors: list[Exception] = [ConnectionError("gone")]
    derived = Derived(make, 9)
    with pytest.raises(ConnectionError):
        await derived.value("a", LONG_S)
    assert derived.soon("b") is None
    await asyncio.sleep(0.01)
    assert derived.soon("b") == 1
    assert await derived.value("a", LONG_S) == (1, True)
    errors.append(ConnectionError("gone"))
    derived.lost_track()
    await asyncio.sleep(AGAIN_S)
    assert derived.soon("a") == 1
    await asyncio.sleep(0.01)
    assert not errors
    assert await derived.value("a", LONG_S) == (1, False)
    derived.changed(None)
    with pytest.raises(NotMadeError):
        await derived.value("a", LONG_S)
    assert derived.soon("a") == 1  # whoever does not wait has it all the same


@in_a_loop
async def test_no_more_names_than_are_kept() -> None:
    """The one that was asked for least lately goes, and its keys with it."""
    world = World(most=2)
    for name in ("a", "b", "a", "c"):
        await world.derived.value(name, LONG_S)
    world.derived.changed(None)
    assert world.derived.at_hand("b") is None
    assert world.derived.at_hand("a") == 3
    assert world.derived._names_of.keys() == {"a1", "a2"}
    for number in range(50):
        await world.derived.value(f"n{number}", LONG_S)
    assert not world.derived._names_of


@pytest.mark.parametrize("seed", range(20))
@in_a_loop
async def test_never_wrong_for_longer_than_said(seed: int) -> None:
    """Random changes, questions and waits: what was not changed for the time of the pauses is right."""
    draw, world = random.Random(seed), World(most=draw_most(seed))
    changed_s = dict.fromkeys("ab", 0.0)
    for _ in range(400):
        name = draw.choice("ab")
        what = draw.random()
        if what < 0.3:
            key = draw.choice([one for one in world.numbers if one.startswith(name)])
            world.set(key, draw.randrange(100))
            changed_s[name] = world.now_s
        elif what < 0.5:
            await world.rest()  # what is being made takes no time here
            world.now_s += draw.choice([0.01, 0.1, AGAIN_S, 3.0])
        elif what < 0.6:
            await world.rest()
        elif what < 0.65:
            draw.choice([world.derived.lost_track, lambda: world.derived.changed(None)])()
        else:
            found, is_right = await world.derived.value(name, LONG_S)
            assert is_right
            if world.now_s - changed_s[name] > AGAIN_S + OVERDUE_S + A_MOMENT_S / 2:  # times are no exact sums
                assert found == sum(number for key, number in world.numbers.items() if key.startswith(name))


def draw_most(seed: int) -> int:
    """Sometimes there is room for one name only."""
    return 1 + seed % 3
