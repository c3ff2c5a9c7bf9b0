"""Help, exit codes and errors of every command."""

import subprocess
import sys
from pathlib import Path

import click
import pytest
from cli_runs import call, event, log

from jobs.cli import main, segmill

GOOD = '[segments.buyers]\ndescription = "Buys."\nwhen = "orders_30d > 5"\n'
BAD = '[segments.a]\ndescription = "A."\nwhen = "ordrs_30d > 5"\n' + GOOD.replace("orders_30d > 5", "segment('c')")


def levels(group: click.Group = segmill, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command and group, as one types it."""
    found = [path]
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        found += levels(command, (*path, name)) if isinstance(command, click.Group) else [(*path, name)]
    return found


class TestHelp:
    @pytest.mark.parametrize("path", levels(), ids=" ".join)
    def test_every_level_teaches(self, path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
        """What it does, its options with a word on each, and no line broken in the middle of an example."""
        said = call(capsys, *path, "--help")
        assert said.code == 0
        assert said.out.startswith(f"Usage: segmill {' '.join(path)}".rstrip())
        assert "--help" in said.out
        assert said.err == ""
        assert all(len(line) <= 110 for line in said.out.splitlines())

    @pytest.mark.parametrize("path", levels(), ids=" ".join)
    def test_every_option_is_explained(self, path: tuple[str, ...]) -> None:
        """None stands there without a word, except those whose name and default say all."""
        command: click.Command = segmill
        for name in path:
            assert isinstance(command, click.Group)
            command = command.get_command(click.Context(command), name) or command
        plain = {"--events", "--products", "--days", "--format", "--limit"}
        options = [one for one in command.params if isinstance(one, click.Option)]
        assert [one.opts for one in options if not one.help and plain.isdisjoint(one.opts)] == []
        assert command.help

    def test_it_is_there_at_once(self) -> None:
        """`--help` imports neither rich nor redis nor the state."""
        script = (
            "import sys; from jobs import cli; sys.argv = ['segmill', '--help']\n"
            "try: cli.main()\nexcept SystemExit: pass\n"
            "print([n for n in ('rich', 'redis', 'msgspec', 'numpy', 'pyflink') if n in sys.modules])"
        )
        ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert ended.stdout.splitlines()[-1] == "[]"

    def test_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Name and version."""
        assert call(capsys, "--version").out.startswith("segmill, version ")


class TestUsage:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("run", "--as-of", "yesterday"), "2011-12-09T12:50:00Z"),
            (("run", "--as-of", "2011-12-09T12:50:00"), "with a zone"),
            (("run", "--as-of", "1323435000"), "milliseconds are needed"),
            (("run", "--as-of", "9" * 20), "not between 1990 and 2200"),
            (("run", "--rate", "EUR"), "EUR=1.08"),
            (("run", "--rate", "EUR=0"), "positive"),
            (("run", "--rate", "EUR=nan"), "positive"),
            (("run", "--currency", "dollars"), "three letters"),
            (("run", "--allowed-lateness", "inf"), "range"),
            (("run", "--allowed-lateness", "nan"), "range"),
            (("run", "--allowed-lateness", "-1"), "range"),
            (("run", "--mode", "fast"), "thread"),
            (("rnu",), "No such command"),
            (("export",), "--out"),
            (("export", "--from", "a", "--redis", "redis://b", "--out", "c"), "give one"),
        ],
    )
    def test_wrong_usage(self, arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]) -> None:
        """Exit code 2, and a word on what is right."""
        said = call(capsys, *arguments)
        assert (said.code, said.out) == (2, "")
        assert words in said.err


class TestCannotBeDone:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("run", "nowhere.jsonl"), "nowhere.jsonl: no such file or folder"),
            (("run", "--rules", "nowhere.toml"), "nowhere.toml"),
            (("run", "--redis", "http://x"), "redis://"),
            (("run", "--redis", "redis://u:s3cret@127.0.0.1:1"), "no Redis answers at redis://127.0.0.1:1"),
            (("run", "--redis", "redis://127.0.0.1:x"), "Port could not be"),
            (("run", "--out", "/proc/x"), "/proc/x: cannot be written to"),
            (("rules", "check", "nowhere.toml"), "nowhere.toml: no such file"),
            (("rules", "try", "nowhere.toml"), "nowhere.toml"),
            (("show", "customer", "x", "--from", "nowhere"), "segmill run --out nowhere"),
            (("show", "customer", "x", "--redis", "redis://127.0.0.1:1"), "no Redis answers at redis://127.0.0.1:1"),
            (("export", "--from", "nowhere", "--out", "x"), "nowhere/redis.rdb: there is none"),
            (("simulate", "x/y.jsonl", "--malformed", "3"), "--malformed must be between 0 and 1"),
        ],
    )
    def test_one_clear_line(
        self,
        arguments: tuple[str, ...],
        words: str,
        capsys: pytest.CaptureFixture[str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Exit code 1; no trace, no password."""
        monkeypatch.chdir(tmp_path)
        said = call(capsys, *arguments)
        assert (said.code, said.out) == (1, "")
        assert words in said.err
        assert [line for line in said.err.splitlines() if "Error" in line] == said.err.splitlines()[-1:]
        assert "Traceback" not in said.err
        assert "s3cret" not in said.err

    def test_a_folder_of_somebody_else(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        """A file of a name that a run would write, but no run has: it is left alone."""
        (tmp_path / "summary.json").write_text('{"quarter": 4}', encoding="utf-8")
        said = call(capsys, "run", log(tmp_path / "log.jsonl", event(1, "c", 0)), "--out", tmp_path)
        assert said.code == 1
        assert "move it away" in said.err
        assert (tmp_path / "summary.json").read_text(encoding="utf-8") == '{"quarter": 4}'

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("currencies = 3", "unknown field"),
            ("currency = 'dollars'", "three capital letters"),
            ("allowed_lateness_ms = -1", "allowed_lateness_ms = -1: must be between 0"),
            ("viewed_half_life_ms = 1", "must be between 86400000"),
            ("[rates]\nEUR = '0'", "rates.EUR = 0: must be a positive number"),
            ("[rates]\nEUR = 'NaN'", "must be a positive number"),
            ("= 3", "line 1"),
        ],
    )
    def test_bad_settings(self, text: str, words: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        """The file and what is wrong in it."""
        path = tmp_path / "settings.toml"
        path.write_text(text, encoding="utf-8")
        said = call(capsys, "run", "--settings", path)
        assert said.code == 1
        assert said.err.startswith(f"Error: {path}: ")
        assert words in said.err

    def test_a_fault_of_the_program_is_no_message(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It shows its trace."""
        monkeypatch.setattr(segmill, "main", lambda **_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            main()

    def test_interrupted(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        """Exit code 130."""

        def interrupted(**_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(segmill, "main", interrupted)
        said = call(capsys)
        assert (said.code, said.err) == (130, "interrupted\n")


class TestRulesCheck:
    def test_good(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        """Number of segments and version; the same as JSON."""
        path = tmp_path / "good.toml"
        path.write_text(GOOD, encoding="utf-8")
        assert "good.toml: 1 segment, version " in call(capsys, "rules", "check", path).out
        said = call(capsys, "rules", "check", path, "--json")
        assert said.code == 0
        assert said.json["ok"] is True
        assert said.json["segments"] == ["buyers"]

    def test_faults_with_their_lines(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        """All of them, each with file, line and column; exit code 3."""
        path = tmp_path / "bad.toml"
        path.write_text(BAD, encoding="utf-8")
        said = call(capsys, "rules", "check", path)
        assert (said.code, said.out) == (3, "")
        assert f"{path}:3:" in said.err
        assert f"{path}:6:" in said.err
        assert "2 faults" in said.err
        said = call(capsys, "rules", "check", path, "--json")
        assert said.code == 3
        assert [problem["line"] for problem in said.json["problems"]] == [3, 6]

    def test_faults_of_the_rules_that_content_names(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        """They lie in the rule file, and JSON says so, too."""
        rules, content = tmp_path / "bad.toml", tmp_path / "content.toml"
        rules.write_text(BAD, encoding="utf-8")
        content.write_text("", encoding="utf-8")
        said = call(capsys, "content", "check", content, "--rules", rules, "--json")
        assert said.code == 3
        assert [(fault["source"], fault["line"]) for fault in said.json["problems"]] == [
            (str(rules), 3),
            (str(rules), 6),
        ]


class TestSimulate:
    def test_json_alone_on_standard_output(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        """And the log has what was asked for."""
        path = tmp_path / "log.jsonl"
        said = call(capsys, "simulate", path, "--events", 50, "--customers", 5, "--json")
        assert said.code == 0
        assert said.json == {"log": str(path), "truth": str(tmp_path / "truth.json"), "events": 50}
        assert len(path.read_bytes().splitlines()) == 50

    def test_in_words(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        """On standard error: the result is the file."""
        said = call(capsys, "simulate", tmp_path / "[log].jsonl", "--events", 50)
        assert said.out == ""
        assert f"{tmp_path}/[log].jsonl: 50 events" in said.err
