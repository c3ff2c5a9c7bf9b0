"""The data that comes with the project."""

from pathlib import Path

ONLINE_RETAIL = Path(__file__).parent.parent / "examples" / "online_retail.csv.xz"
