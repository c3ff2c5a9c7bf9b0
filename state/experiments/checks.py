"""What settings of the statistics may be."""


def between_0_and_1(name: str, value: float) -> None:
    """
    Raises:
        ValueError: `value` is not above 0 and below 1; the message has its name.
    """
    if not 0 < value < 1:
        raise ValueError(f"{name} = {value}: must be above 0 and below 1")


def above_0(name: str, value: float) -> None:
    """
    Raises:
        ValueError: `value` is not above 0, or not finite; the message has its name.
    """
    if not 0 < value < float("inf"):
        raise ValueError(f"{name} = {value}: must be above 0")
