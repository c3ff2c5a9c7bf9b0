"""What follows from segments having numbers: the bits of a membership mask."""

from functools import cached_property


class Numbered:
    """Bit i of a membership mask stands for `names[i]`."""

    names: tuple[str, ...]
    min_stay_ms: tuple[int, ...]
    """Minimum stay of each of `names`; 0: none."""

    @cached_property
    def bit_of(self) -> dict[str, int]:
        """The bit (its index) of each of `names`."""
        return {name: bit for bit, name in enumerate(self.names)}

    @cached_property
    def stay_mask(self) -> int:
        """The bits of segments that have a minimum stay."""
        return sum(1 << bit for bit, stay_ms in enumerate(self.min_stay_ms) if stay_ms)

    @cached_property
    def stays(self) -> tuple[tuple[int, int], ...]:
        """Bit and minimum stay in milliseconds of the segments that have one."""
        return tuple((bit, stay_ms) for bit, stay_ms in enumerate(self.min_stay_ms) if stay_ms)
