"""The cache of unpacked customers: bounded, and kind to those who are asked for."""

from state.generations import Generations


class TestGenerations:
    def test_who_is_asked_for_stays(self) -> None:
        """However many others come; who is not is let go, and there are never more than it was made for."""
        cache: Generations[int] = Generations(10)
        cache.put("old", -2)
        cache.put("kept", -1)
        for number in range(100):
            cache.put(f"n{number}", number)
            assert cache.get("kept") == -1
            assert sum(cache.get(f"n{at}", keep=False) is not None for at in range(number + 1)) < 10
        assert cache.get("old") is None
        assert cache.get("n99") == 99

    def test_a_look_alone_keeps_nobody(self) -> None:
        """Who is only looked at is let go like the others."""
        cache: Generations[int] = Generations(4)
        cache.put("seen", 1)
        for number in range(4):
            assert cache.get("seen", keep=False) == 1
            cache.put(str(number), number)
        assert cache.get("seen", keep=False) is None

    def test_dropped_and_cleared(self) -> None:
        """From both generations."""
        cache: Generations[int] = Generations(4)
        for number in range(3):
            cache.put(str(number), number)
        cache.drop("0")
        cache.drop("2")
        assert [cache.get(str(number)) for number in range(3)] == [None, 1, None]
        cache.clear()
        assert cache.get("1") is None

    def test_room_for_nobody(self) -> None:
        cache: Generations[int] = Generations(0)
        cache.put("a", 1)
        assert cache.get("a") is None
