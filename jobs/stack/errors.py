"""What can go wrong with the servers of a stack."""

from jobs.runtime.errors import RuntimeProblem


class StackError(RuntimeProblem):
    """The stack cannot do what was asked; the message tells the reader what to do."""
