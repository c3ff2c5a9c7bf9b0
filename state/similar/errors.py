"""What can go wrong with what is remembered about similar items."""


class SimilarStateError(ValueError):
    """Bytes of a state, ledger or message that this program cannot read."""


def expect_version(found: object, known: int, what: str) -> None:
    """Refuse bytes written by a newer program.

    Raises:
        SimilarStateError: `found` is not the known version.
    """
    if found != known:
        raise SimilarStateError(
            f"{what} of version {found!r} found, this program reads version {known}: "
            "upgrade the program, or start from a savepoint that it wrote"
        )
