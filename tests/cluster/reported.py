"""What tests found out that a reader of a run should see, though they passed: pytest shows it in the end."""

REPORTS: list[str] = []
"""Lines, in their order."""


def report(text: str) -> None:
    """Show a line after the run."""
    REPORTS.append(text)
