"""README.md, CONTRIBUTING.md and docs/ say what is so: what they name exists, what exists is named."""

import ast
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import click
import msgspec
import pytest

from jobs.cli import segmill
from jobs.summary import Summary
from schemas.changes import CauseKind, SegmentChange
from schemas.decode import Decoder
from schemas.keys import Keys
from schemas.settings import Settings
from state.channels import Channel
from state.customer.logic import PLACE_END, CustomerLogic
from state.local import LocalRun
from state.rules.ruleset import load_rules
from state.similar.settings import SimilarSettings

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("[a-z]*/README.md")])
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in DOCUMENTS}
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?(?:::(\w+))?`")


def without_code(text: str) -> str:
    return FENCE.sub("", text)


def blocks(name: str, language: str) -> list[str]:
    return [body for kind, body in FENCE.findall(TEXTS[name]) if kind == language]


class TestLinks:
    @pytest.mark.parametrize("name", TEXTS)
    def test_they_lead_somewhere(self, name: str) -> None:
        """Files exist, and so do the headings that are named."""
        wrong = []
        for target in LINK.findall(without_code(TEXTS[name])):
            if "://" in target:
                continue
            file, _, anchor = target.partition("#")
            path = (ROOT / name).parent / file if file else ROOT / name
            if not path.exists() or (anchor and anchor not in anchors(path)):
                wrong.append(target)
        assert wrong == []

    def test_every_document_is_reachable_from_the_readme(self) -> None:
        """By its own links."""
        linked = {target.partition("#")[0] for target in LINK.findall(TEXTS["README.md"])}
        assert {name for name in TEXTS if name not in linked and name != "README.md"} == set()


def anchors(path: Path) -> set[str]:
    """The headings of a page, as links name them."""
    headings = re.findall(r"^#+ (.+)$", without_code(path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


class TestCommands:
    def test_each_is_named(self) -> None:
        """In README.md or docs/."""
        everything = "\n".join(TEXTS.values())
        missing = [" ".join(names) for names, _ in commands(segmill, ("segmill",)) if " ".join(names) not in everything]
        assert missing == []

    @pytest.mark.parametrize("name", TEXTS)
    def test_examples_use_what_there_is(self, name: str) -> None:
        """Every `segmill ...` in a block for the shell names a command and options that exist."""
        known = dict(commands(segmill, ("segmill",)))
        for line in "".join(blocks(name, "sh")).splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] != ["segmill"]:
                continue
            command = known.get(tuple(words[:3])) or known.get(tuple(words[:2]))
            assert command is not None or set(words[1:]) <= {"--help"}, line
            options = {option for parameter in command.params for option in parameter.opts} if command else set()
            assert {word for word in words if word.startswith("-")} <= {*options, "--help"}, line

    def test_make_targets_exist(self) -> None:
        """`make run`, and so on."""
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
        named = {target for text in TEXTS.values() for target in re.findall(r"`make ([a-z-]+)", text)}
        assert named <= targets


def commands(group: click.Group, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """All commands below a group, with their full names."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield (*path, name), command


class TestEvents:
    def test_examples_are_accepted(self) -> None:
        """The lines of JSON that README.md and docs/how-it-works.md show as events."""
        decoder = Decoder(Settings())
        for name in ("README.md", "docs/how-it-works.md"):
            lines = [line for block in blocks(name, "json") for line in block.splitlines() if '"event_id": ' in line]
            assert lines
            for line in lines:
                decoder.decode(line.encode())


class TestSettings:
    def test_each_has_its_row(self) -> None:
        """Name and default value."""
        rows = dict(re.findall(r"^\| `(\w+)` \| `([^`]*)` \|", TEXTS["docs/settings.md"], re.MULTILINE))
        defaults = msgspec.to_builtins(Settings())
        assert {name: json.loads(value.replace("_", "")) for name, value in rows.items()} == defaults

    def test_its_example_loads(self) -> None:
        """The whole file."""
        for example in blocks("docs/settings.md", "toml"):
            assert msgspec.toml.decode(example, type=Settings, strict=False) != Settings()


class TestOutputs:
    TEXT = TEXTS["docs/outputs.md"]

    @pytest.mark.parametrize("shape", [SegmentChange, Summary])
    def test_every_field_is_explained(self, shape: Any) -> None:
        """Of a change record and of the summary."""
        names = getattr(shape, "__struct_fields__", None) or shape.__dataclass_fields__
        assert [name for name in names if f"`{name}`" not in self.TEXT] == []

    def test_every_cause_is_explained(self) -> None:
        """And no other."""
        listed = re.findall(r"^\| `([\w-]+)` \| [^|]*\|$", self.section("Causes"), re.MULTILINE)
        assert listed == ["kind", *get_args(CauseKind)]

    def test_every_key_is_explained(self) -> None:
        """With the default prefix, which the page leaves out."""
        keys = Keys("")
        named = (
            keys.meta,
            keys.profile("{customer_id}"),
            keys.segment("{name}"),
            keys.similar("{relation}", "{item_id}"),
        )
        assert [key for key in named if f"`{key}`" not in self.TEXT] == []

    def test_the_worked_example(self) -> None:
        """The events, replayed under the shipped rules, give the records of the page."""
        events, records = (
            block.splitlines() for block in re.findall(r"```json\n(.*?)```", self.section(self.STORY), re.DOTALL)
        )
        settings = Settings()
        decoder = Decoder(settings)
        decoded = [(*decoder.decode(event.encode()), event.encode()) for event in events]
        as_of_ms = max(fact.time_ms for _, fact, _ in decoded)
        logic = CustomerLogic(settings, load_rules(), SimilarSettings(), as_of_ms=as_of_ms)
        run = LocalRun(logic, settings.out_of_orderness_ms)
        outputs = [one for who, fact, raw in decoded for one in run.feed(who, fact.time_ms, PLACE_END + raw)]
        outputs += run.close()
        changes = [json.loads(payload) for channel, _, payload in outputs if channel == Channel.SEGMENT_CHANGE]
        told = [change for change in changes if change["segment"] == "cart-abandoners"]
        names = {change["change_id"]: f"#{number}" for number, change in enumerate(told, 1)}
        short = ("change", "at_ms", "since_ms", "cause", "supersedes")
        shown = [
            {"record": names[change["change_id"]]}
            | {name: names.get(change[name], change[name]) if name == "supersedes" else change[name] for name in short}
            for change in told
        ]
        assert [json.loads(record) for record in records] == shown

    STORY = "Corrections"

    def section(self, heading: str) -> str:
        """The text below a heading, up to the next one of its rank."""
        found = re.search(rf"^(#+) {heading}\n(.*?)(?=^#+ |\Z)", self.TEXT, re.DOTALL | re.MULTILINE)
        assert found, heading
        return found[2]


class TestGuarantees:
    def test_every_test_exists(self) -> None:
        """File, class and function."""
        named = [match for text in TEXTS.values() for match in TEST.findall(text)]
        assert len(named) > 30
        assert sorted({"::".join(filter(None, parts)) for parts in named if not exists(*parts)}) == []


def exists(file: str, *names: str) -> bool:
    """Whether the file has the class or function, or the class of that name the function."""
    path = ROOT / file
    if not path.is_file():
        return False
    scope: Any = ast.parse(path.read_text(encoding="utf-8"))
    for name in filter(None, names):
        scope = next((node for node in scope.body if getattr(node, "name", None) == name), None)
        if scope is None:
            return False
    return True
