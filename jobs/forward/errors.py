"""What ends the forwarding."""

from jobs.runtime.errors import RuntimeProblem


class ForwardProblem(RuntimeProblem):
    """Nothing more can be forwarded; the message says what to do."""
