"""Which banner a customer sees."""

from pathlib import Path

import pytest

from serving.content.document import load_content, parse_content
from serving.content.entry import Content
from state.rules.errors import RuleError

NOW_MS = 1_772_445_600_000
DAY_MS = 86_400_000
FILE = """\
[content.hello]
slot = "home-top"
title = "Hello"

[content.vip]
description = "For those who matter."
slot = "home-top"
when = 'segment("high-value") and recency_ms <= days(30)'
priority = 10
title = "Thank you"
url = "/vip"
data = { colour = "gold", until = 2026-04-01T00:00:00Z, sizes = [1, 2] }

[content.spring]
slot = "home-top"
priority = 20
text = "Spring!"
from = 2026-03-01T00:00:00Z
until = 2026-03-02T10:00:00Z

[content.cart]
slot = "side"
when = "cart_open"
text = "Still there"
"""
VIP = {"as_of_ms": NOW_MS, "features": {"recency_ms": DAY_MS, "cart_open": True}, "segments": {"high-value": 1}}


def chosen(slot: str, profile: object, now_ms: int = NOW_MS) -> str | None:
    entry = content().choose(slot, profile, now_ms)  # type: ignore[arg-type]
    return None if entry is None else entry.name


def content() -> Content:
    return parse_content(FILE, segments=frozenset({"high-value"}))


class TestChoosing:
    def test_the_highest_priority_that_holds(self) -> None:
        """Else the next one, else the first in the file."""
        assert chosen("home-top", VIP) == "vip"
        assert chosen("home-top", VIP, NOW_MS + 29 * DAY_MS) == "vip"
        assert chosen("home-top", VIP, NOW_MS + 30 * DAY_MS) == "hello"
        assert chosen("home-top", None) == "hello"

    def test_in_its_time_only(self) -> None:
        """From its first millisecond until its last, the end not included."""
        assert chosen("home-top", None, NOW_MS - 1) == "spring"
        assert chosen("home-top", None, NOW_MS - 34 * 3_600_000 - 1) == "hello"
        assert chosen("home-top", None, NOW_MS - 34 * 3_600_000) == "spring"

    def test_nothing_holds(self) -> None:
        """Then the slot stays empty, as does one that nobody knows."""
        assert chosen("side", VIP) == "cart"
        assert chosen("side", None) is None
        assert chosen("nowhere", VIP) is None

    def test_of_whom_nothing_could_be_read_no_condition_holds(self) -> None:
        """Not even one for those who are not in a segment, as somebody unknown is."""
        text = '[content.a]\nslot="s"\ntext="a"\npriority=1\nwhen=\'not segment("minors")\'\n'
        made = parse_content(text + '[content.b]\nslot="s"\ntext="b"')
        known = [made.choose("s", None, NOW_MS, profile_read=read) for read in (True, False)]
        assert [entry.name for entry in known if entry is not None] == ["a", "b"]

    def test_what_is_shown(self) -> None:
        """All fields; times as text, so that everything is JSON."""
        entry = content().choose("home-top", VIP, NOW_MS)
        assert entry is not None
        assert entry.fields == {
            "title": "Thank you", "url": "/vip",
            "data": {"colour": "gold", "until": "2026-04-01T00:00:00+00:00", "sizes": [1, 2]},
        }  # fmt: skip

    def test_equal_priorities(self) -> None:
        """The first in the file wins."""
        text = '[content.b]\nslot="s"\ntext="b"\n[content.a]\nslot="s"\ntext="a"'
        entry = parse_content(text).choose("s", None, NOW_MS)
        assert entry is not None
        assert entry.name == "b"

    def test_versions(self) -> None:
        """Differ with the text."""
        assert content().version == content().version != parse_content(FILE + "\n# more").version


class TestFaults:
    def test_all_at_once(self) -> None:
        """With line and column, and what to do."""
        text = (
            '[content.a]\nslto = "x"\nwhen = \'segment("high-valu") and recenc_ms <= days(3)\'\n'
            '[content.b]\nslot = "x"\nfrom = "2026"\npriority = 1.5\ndata = 3\n'
            "[content.c]\nslot = 'x'\ntext = 't'\nfrom = 2026-01-01T00:00:00Z\nuntil = 2026-01-01T00:00:00Z\n"
        )
        with pytest.raises(RuleError) as raised:
            parse_content(text, "c.toml", frozenset({"high-value"}))
        assert [str(problem) for problem in raised.value.problems] == [
            'c.toml:1:1: "a": needs a slot: where on the page it goes, such as slot = "home-top"',
            'c.toml:1:1: "a": shows nothing: write one of kind, title, text, url, image_url, data',
            'c.toml:2:1: "a": unknown key "slto"; did you mean "slot"?',
            'c.toml:3:9: "a": there is no segment "high-valu"; did you mean "high-value"?',
            'c.toml:3:34: "a": unknown feature "recenc_ms"; did you mean "recency_ms"?',
            'c.toml:6:1: "b": from must be a time with a zone, without quotes: 2026-12-24T00:00:00Z',
            'c.toml:7:1: "b": priority must be a whole number from -1,000,000 to 1,000,000',
            'c.toml:8:1: "b": data must be a table',
            'c.toml:13:1: "c": until must be later than from',
        ]

    @pytest.mark.parametrize(
        ("text", "message"),
        [("", "has no content"), ("content = 1", "must be tables"), ("[content", "is no TOML"), ("x = 1", "unknown")],
    )
    def test_files_that_are_none(self, text: str, message: str) -> None:
        """Are told from others."""
        with pytest.raises(RuleError, match=message):
            parse_content(text)

    def test_no_file(self, tmp_path: Path) -> None:
        """Is said in one line, and so is one that is no text."""
        with pytest.raises(RuleError, match="cannot be read: No such file"):
            load_content(tmp_path / "none.toml")
        (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
        with pytest.raises(RuleError, match="is no UTF-8 text"):
            load_content(tmp_path / "bytes.toml")
