"""What can go wrong with what is remembered about clusters."""


class ClusterStateError(ValueError):
    """Bytes of a learner, a sample or a model that this program cannot read."""


def expect_version(found: object, known: int, what: str) -> None:
    """Refuse bytes written by a newer program.

    Raises:
        ClusterStateError: `found` is not the known version.
    """
    if found != known:
        raise ClusterStateError(
            f"{what} of version {found!r} found, this program reads version {known}: "
            "upgrade the program, or start from a savepoint that it wrote"
        )
