"""`segmill serve` and `segmill keys`: what they refuse, and what they say."""

import socket
from pathlib import Path

import pytest

from serving.api_keys import ApiKeys, Scope, load_keys
from state.rules.ruleset import load_rules
from tests.jobs.cli_runs import call

Capture = pytest.CaptureFixture[str]


class TestServe:
    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ((), "--without-keys"),
            (("--without-keys", "--host", "0.0.0.0"), "this machine only"),  # noqa: S104
            (("--without-keys", "--host", "shop.example"), "IP address"),
            (("--without-keys", "--redis", "http://x"), "redis://"),
        ],
    )
    def test_what_it_refuses(self, capsys: Capture, options: tuple[str, ...], said: str) -> None:
        """With what to do instead."""
        result = call(capsys, "serve", *options)
        assert result.code in (1, 2)
        assert said in result.err

    @pytest.mark.parametrize(
        ("setting", "text"),
        [
            ("content_file", '[content.wine]\nslot = "s"\ntext = "Wine"\nwhen = \'not segment("lapsign")\'\n'),
            (
                "ranking.rules_file",
                '[rules.wine]\naction = "hide"\ntags = ["wine"]\ncondition = \'segment("lapsign")\'\n',
            ),
        ],
    )
    def test_a_segment_that_is_not_in_the_rules(self, capsys: Capture, tmp_path: Path, setting: str, text: str) -> None:
        """A banner would be shown to everybody, a rule never hold: it does not start."""
        path = tmp_path / "file.toml"
        path.write_text(text)
        (tmp_path / "serve.toml").write_text(f"{setting} = '{path}'\n")
        options = ("serve", "--without-keys", "--without-kafka", "--redis", "redis://127.0.0.1:1")
        result = call(capsys, *options, "--config", tmp_path / "serve.toml")
        assert result.code == 1
        assert f"{path}:" in result.err
        assert 'there is no segment "lapsign"' in result.err

    @pytest.mark.parametrize("segment", sorted(load_rules().known))
    def test_each_segment_of_the_rules_may_be_named(self, capsys: Capture, tmp_path: Path, segment: str) -> None:
        """Those that are held against the population, too. (It gets as far as a port that is in use.)"""
        (tmp_path / "content.toml").write_text(
            f'[content.a]\nslot = "s"\ntext = "b"\nwhen = \'segment("{segment}")\'\n'
        )
        (tmp_path / "serve.toml").write_text(f"content_file = '{tmp_path}/content.toml'\n")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            options = ("--without-keys", "--without-kafka", "--config", tmp_path / "serve.toml")
            result = call(capsys, "serve", *options, "--port", taken.getsockname()[1])
        assert "cannot listen at 127.0.0.1" in result.err

    def test_a_port_in_use(self, capsys: Capture) -> None:
        """One line."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            result = call(capsys, "serve", "--without-keys", "--without-kafka", "--port", taken.getsockname()[1])
        assert result.code == 1
        assert "cannot listen at 127.0.0.1" in result.err


class TestKeys:
    def test_a_new_one_can_be_used(self, capsys: Capture, tmp_path: Path) -> None:
        """What goes to the file does not hold it."""
        result = call(capsys, "keys", "new", "shop page", "--scope", "read", "--scope", "ingest")
        path = tmp_path / "keys.toml"
        path.write_text(result.out)
        found = ApiKeys(load_keys(path)).find(result.err.strip())
        assert found is not None
        assert (found.name, found.scopes) == ("shop page", (Scope.READ, Scope.INGEST))
        assert result.err.strip() not in result.out

    def test_a_name_that_cannot_be_written(self, capsys: Capture) -> None:
        """Is wrong usage."""
        assert call(capsys, "keys", "new", 'a"b').code == 2
