"""`segmill rules try`: who would have moved, worked out by hand on a few events."""

from pathlib import Path

import pytest
from cli_runs import DAY, HOUR, call, event, log

NOW = '[segments.lookers]\ndescription = "Two views in a day."\nwhen = "views_1d >= 2"\n'
TRIED = NOW.replace(">= 2", ">= 1") + '[segments.new]\ndescription = "An order."\nwhen = "orders_30d >= 1"\n'


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Rules now, rules tried, and a log that ends on day 4.

    views of a: 0 h, 1 h, 26 h and day 4; of b: day 4; an order of [c] on day 3.
    """
    now, tried = tmp_path / "now.toml", tmp_path / "tried.toml"
    now.write_text(NOW, encoding="utf-8")
    tried.write_text(TRIED, encoding="utf-8")
    events = [event(n, "a", at_ms) for n, at_ms in enumerate((0, HOUR, 26 * HOUR, 4 * DAY))]
    events += [event(5, "b", 4 * DAY), event(6, "[c]", 3 * DAY, "order_completed", order_id="o", products=[], total=5)]
    return now, tried, log(tmp_path / "log.jsonl", b"{", *reversed(events))


class TestNumbers:
    def test_by_hand(self, files: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
        """Of two views in (T - 1 d, T], a has them from 1 h to 24 h: entered at 1 h, left at 24 h, a turn within a day.

        With one view it is in from 0 h to 25 h, from 26 h (an hour later: a flap) to 50 h (a day later: none) and from
        96 h on; the median of 25 h and 24 h is 24.5 h. b enters at 96 h; [c] is new.
        """
        now, tried, path = files
        said = call(capsys, "rules", "try", tried, path, "--against", now, "--json")
        assert said.code == 0
        assert said.json["segments"] == {
            "lookers": {
                "now": {"members": 0, "entered": 1, "left": 1, "flaps": 1, "median_stay_ms": 23 * HOUR},
                "tried": {"members": 2, "entered": 4, "left": 2, "flaps": 1, "median_stay_ms": 49 * HOUR // 2},
                "joins": ["a", "b"],
                "goes": [],
            },
            "new": {
                "now": None,
                "tried": {"members": 1, "entered": 1, "left": 0, "flaps": 0, "median_stay_ms": None},
                "joins": ["[c]"],
                "goes": [],
            },
        }
        assert said.json["now"] != said.json["tried"]

    def test_in_words(self, files: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
        """Both sides where they differ, and who moves, with odd ids as they are."""
        now, tried, path = files
        said = call(capsys, "rules", "try", tried, path, "--against", now, "--limit", 1)
        assert "6 events of 3 customers, as of 2025-03-05 00:00:00Z" in said.err
        row = next(line.split() for line in said.out.splitlines() if line.startswith("lookers"))
        assert row == ["lookers", "0", "→", "2", "2", "0", "2", "→", "6", "1", "23.0", "h", "→", "1.0", "d"]
        assert "joins lookers: a and 1 more" in said.out
        assert "joins new: [c]" in said.out

    def test_as_of(self, files: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
        """On the first day a is in under both rules: nobody moves."""
        now, tried, path = files
        said = call(capsys, "rules", "try", tried, path, "--against", now, "--json", "--as-of", "2025-03-01T02:00:00Z")
        lookers = said.json["segments"]["lookers"]
        assert (lookers["now"]["members"], lookers["tried"]["members"]) == (1, 1)
        assert (lookers["joins"], lookers["goes"]) == ([], [])

    def test_nothing_to_try_on(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Says why."""
        tried = tmp_path / "tried.toml"
        tried.write_text(TRIED, encoding="utf-8")
        said = call(capsys, "rules", "try", tried, log(tmp_path / "l.jsonl", b"x", b"y"))
        assert said.code == 1
        assert "no valid event" in said.err
        assert "malformed_json 2" in said.err

    def test_bad_rules(self, files: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
        """The fault with its line, and no trace."""
        _, tried, path = files
        tried.write_text(TRIED.replace("orders_30d", "ordrs_30d"), encoding="utf-8")
        said = call(capsys, "rules", "try", tried, path)
        assert said.code == 1
        assert f"{tried}:6:" in said.err


class TestWithAPopulation:
    """Segments that ask about all customers are tried like the others; own facts count as without it."""

    def test_quartiles(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Of 40 customers who view something 1 to 40 times, a quarter view most."""
        tried = tmp_path / "tried.toml"
        tried.write_text(
            TRIED + '[segments.top]\ndescription = "t"\nwhen = "quartile(views_30d) == 4"\n', encoding="utf-8"
        )
        events = [
            event(f"{customer}-{number}", f"c{customer:02}", number * HOUR)
            for customer in range(1, 41)
            for number in range(customer)
        ]
        path = log(tmp_path / "log.jsonl", *events)
        runs = [call(capsys, "rules", "try", tried, path, "--json", *more) for more in ((), ("--population",))]
        plain, whole = (said.json["segments"] for said in runs)
        assert "top" not in plain
        assert plain.items() <= {name: whole[name] for name in plain}.items()
        assert whole["top"]["now"] is None
        assert whole["top"]["joins"] == [f"c{customer:02}" for customer in range(31, 41)]
        assert "high-value" in whole

    def test_in_words(self, files: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
        """Nothing is said to wait for a population that is there."""
        now, tried, path = files
        tried.write_text(
            TRIED + '[segments.top]\ndescription = "t"\nwhen = "quartile(engagement) == 4"\n', encoding="utf-8"
        )
        assert "top: waiting" in call(capsys, "rules", "try", tried, path, "--against", now).out
        assert "waiting" not in call(capsys, "rules", "try", tried, path, "--against", now, "--population").out
