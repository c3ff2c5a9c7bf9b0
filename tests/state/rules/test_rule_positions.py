"""Where characters of a TOML text stand, checked against tomllib on random documents."""

import tomllib

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from state.rules.positions import Positions

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from("'\"\\\n\t#=[]{},."), max_size=12)
KEY = st.text("ab.-'\" #=", min_size=1, max_size=4)


def escaped(text: str, odd: bool) -> str:
    """A text with everything escaped that needs it, or everything at all."""
    return "".join(
        (f"\\u{ord(c):04x}" if ord(c) < 0x10000 else f"\\U{ord(c):08x}") if odd or c in '"\\\n\t\x7f' else c
        for c in text
    )


@st.composite
def written(draw: st.DrawFn, text: str) -> str:
    """A text in one of TOML's notations."""
    kind = draw(st.integers(0, 4))
    if kind == 0 and not set("'\n") & set(text):
        return f"'{text}'"
    if kind == 1 and "'''" not in text and not text.startswith("\n") and not text.endswith("'"):
        return f"'''{text}'''"
    if kind == 2:
        plain = text.replace("\\", "\\\\").replace('"""', '""\\"')
        return f'"""\n{plain}"""' if not plain.endswith('"') else f'"{escaped(text, False)}"'
    if kind == 3 and text:
        return f'"""{escaped(text[0], True)}\\  \n \n\t{escaped(text[1:], True)}"""'
    return f'"{escaped(text, kind == 4)}"'


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[tuple[str, ...], str]]:
    """A document of tables with random keys and strings, and what each path holds."""
    lines: list[str] = []
    held: dict[tuple[str, ...], str] = {}
    for table in draw(st.lists(KEY, max_size=3, unique=True)):
        head = draw(written(table).filter(lambda name: not name.startswith(('"""', "'''"))))
        lines.append(f" [ x . {head}] # [no]")
        inline = draw(st.booleans())
        pairs = []
        for key in draw(st.lists(KEY, max_size=3, unique=True)):
            name = draw(written(key).filter(lambda name: not name.startswith(('"""', "'''"))))
            value = draw(TEXT)
            path = ("x", table, "t", key) if inline else ("x", table, key)
            held[path] = value
            pairs.append(f"{name} = {draw(written(value))}")
        if inline:
            pairs.insert(0, "list = [ 1, {u = 2}, ']', [3]]")
            lines.append("t = {" + ", ".join(pairs) + "}")
        else:
            lines += ["d = 1979-05-27 07:32:00", "list = [ # '\n 1, ''']\n''', ]", *pairs]
    return "\n".join(lines), held


class TestPositions:
    """Every string of a document is found, character by character."""

    @settings(max_examples=300, deadline=None)
    @given(documents())
    def test_each_character_is_where_it_was_written(self, made: tuple[str, dict]) -> None:
        """As many places as characters, in rising order, each holding its character or an escape."""
        text, held = made
        try:
            tomllib.loads(text)
        except tomllib.TOMLDecodeError:
            assume(False)
        positions = Positions(text)
        for path, value in held.items():
            spot = positions.spots[path]
            assert len(spot.chars) == len(value) + 1
            assert list(spot.chars) == sorted(set(spot.chars))
            for offset, char in zip(spot.chars, value, strict=False):
                assert text[offset] in (char, "\\")
            line, column = positions.line_column(spot.key)
            assert text.split("\n")[line - 1][column - 1] == text[spot.key]

    def test_an_unknown_path_has_no_place(self) -> None:
        """A fault without a place is still told."""
        positions = Positions("a = 1")
        assert positions.key(("b",)) is None
        assert positions.char(("b",), 3) is None
        assert positions.char(("a",), 3) == (1, 5)
